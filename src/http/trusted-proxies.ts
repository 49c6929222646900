import type { Config } from '../config.ts'

/** Decides, by its place in the row, whether a proxy is believed. */
type Trust = false | string[] | ((address: string, hop: number) => boolean)

/** Fastify's `trustProxy`: from whom it takes the address of the sender of a request. */
export function trustProxyOf(trusted: Config['trustedProxies']): Trust {
  // With a plain number it would believe nobody: it cannot know that only proxies get here.
  if (typeof trusted === 'number') return (_address, hop) => hop < trusted
  return trusted.length > 0 && [...trusted]
}
