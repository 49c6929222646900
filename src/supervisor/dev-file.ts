import { join } from 'node:path'
import { localUrl, type Config } from '../config.ts'
import { readJson, writePrivately } from './private-file.ts'

const keys = [
  'baseUrl',
  'apiKey',
  'orgId',
  'webhookSecret',
  'adminUrl',
  'adminEmail',
  'adminPassword',
  'adminToken',
] as const

/** What a developer needs to use this installation; `dev.json` in the home, mode 0600. */
export type DevFile = Readonly<Record<(typeof keys)[number], string>>

export function devFilePath(home: string): string {
  return join(home, 'dev.json')
}

/** undefined when there is none, or it is damaged and has to be made again. */
export function readDevFile(home: string): DevFile | undefined {
  const value = readJson(devFilePath(home))
  return isDevFile(value) ? value : undefined
}

/**
 * Keeps what bootstrap gave, else what is there, and makes its addresses follow the port.
 *
 * @param made undefined when bootstrap had nothing to do
 * @param baseUrl where the api is; by default on this machine
 */
export function keepDevFile(
  config: Config,
  made: DevFile | undefined,
  baseUrl = localUrl(config.host, config.port),
): DevFile | undefined {
  const existing = readDevFile(config.home)
  const dev = made ?? existing
  if (dev === undefined) return undefined
  const adminUrl = dev.adminUrl.startsWith(dev.baseUrl)
    ? `${baseUrl}${dev.adminUrl.slice(dev.baseUrl.length)}`
    : dev.adminUrl
  const kept = { ...dev, baseUrl, adminUrl }
  const isSame = existing !== undefined && keys.every((key) => existing[key] === kept[key])
  if (!isSame) writePrivately(devFilePath(config.home), kept)
  return kept
}

function isDevFile(value: unknown): value is DevFile {
  if (typeof value !== 'object' || value === null) return false
  const entries = new Map<string, unknown>(Object.entries(value))
  return keys.every((key) => typeof entries.get(key) === 'string')
}
