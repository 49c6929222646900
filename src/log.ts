import { mkdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import type { LoggerOptions } from 'pino'

/** What a line may hold. Anything else stays out: a list of what is secret would forget some. */
export const allowedFields = new Set([
  ...['service', 'role', 'version', 'requestId', 'traceId', 'spanId', 'route', 'method', 'status'],
  ...['latencyMs', 'orgId', 'userId', 'apiKeyId', 'jobId', 'jobType', 'attempt', 'provider'],
  ...['model', 'errorCode', 'errorType', 'eventId', 'position', 'correlationId', 'epoch', 'owner'],
  ...['outcome', 'loop', 'failures', 'stream', 'projection', 'seen', 'got', 'deliveryId'],
  ...['eventType', 'httpStatus', 'error', 'durationMs', 'type', 'port', 'workerId', 'config'],
  ...['target', 'day', 'hash', 'topic', 'published', 'recordedAt'],
])

type Fields = Readonly<Record<string, unknown>>

/** JSON lines on stdout. */
export type Log = {
  readonly debug: (fields: Fields, message: string) => void
  readonly info: (fields: Fields, message: string) => void
  readonly warn: (fields: Fields, message: string) => void
  readonly error: (fields: Fields, message: string) => void
  /** The last line of a process that ends by a fault; resolves when everybody has been told. */
  readonly fatal: (fields: Fields, message: string) => Promise<void>
}

/** An error as a line holds it: never its properties, which drivers fill with values. */
function errorFields(error: unknown): Fields {
  if (!(error instanceof Error)) return { errorType: typeof error }
  const { name: errorType, message, stack, cause } = error
  const err = cause instanceof Error ? { message, stack, cause: cause.message } : { message, stack }
  return { errorType, err }
}

function allowed(fields: Fields): Fields {
  const kept: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'err') Object.assign(kept, errorFields(value))
    else if (allowedFields.has(name)) kept[name] = value
  }
  return kept
}

export type LogOptions = {
  readonly role: string
  readonly version: string
  readonly level: string
  /** Appends to `<role>.log` in this folder; absent: stdout. */
  readonly folder: string | undefined
}

/** A log that has grown beyond this is put aside, bytes. */
const logBytesMax = 64_000_000
/** Lines that wait because they cannot be written, bytes; newer ones are lost. */
const waitingBytesMax = 16_000_000

type Destination = ReturnType<typeof pino.destination>

/** Opens the file of a role; keeps one older file beside it. */
function openFile(folder: string, role: string): Destination {
  const file = join(folder, `${role}.log`)
  mkdirSync(folder, { recursive: true })
  let bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  const putAside = (): void => {
    if (bytes <= logBytesMax) return
    bytes = 0
    renameSync(file, `${file}.1`)
  }
  putAside()
  const destination = openDestination(file)
  destination.on('write', (written: number) => {
    bytes += written
    if (bytes <= logBytesMax) return
    try {
      putAside()
      destination.reopen()
    } catch {
      // Somebody took it away, or the disk fails: the next time comes.
    }
  })
  return destination
}

/** What cannot be written, as on a full disk, is tried again with each new line. */
function openDestination(dest: string | number): Destination {
  const maxLength = waitingBytesMax
  // Without a least length `flush` would not try anything again.
  const destination = pino.destination({ dest, sync: false, minLength: 1, maxLength })
  let isFailing = false
  const failed = (): void => void (isFailing = true)
  // A file that cannot be opened is another matter: weir does not start.
  destination.once('ready', () => destination.on('error', failed))
  destination.on('write', () => (isFailing = false))
  destination.on('drop', () => destination.flush())
  // At the end of the process it would be tried for ever.
  const flush = destination.flushSync.bind(destination)
  destination.flushSync = () => {
    if (!isFailing) flush()
  }
  return destination
}

/** Opens the log of a role. */
export function openLog({ role, version, level, folder }: LogOptions): Log {
  const options: LoggerOptions = {
    level,
    base: { service: 'weir', role, version },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  }
  const logger = pino(options, folder === undefined ? openDestination(1) : openFile(folder, role))
  return {
    debug: (fields, message) => logger.debug(allowed(fields), message),
    info: (fields, message) => logger.info(allowed(fields), message),
    warn: (fields, message) => logger.warn(allowed(fields), message),
    error: (fields, message) => logger.error(allowed(fields), message),
    fatal: async (fields, message) => logger.fatal(allowed(fields), message),
  }
}
