import { pino } from 'pino'

/** What a line may hold. Anything else stays out: a list of what is secret would forget some. */
const allowedFields = new Set([
  ...['service', 'role', 'version', 'requestId', 'traceId', 'spanId', 'route', 'method', 'status'],
  ...['latencyMs', 'orgId', 'userId', 'apiKeyId', 'jobId', 'jobType', 'attempt', 'provider'],
  ...['model', 'errorCode', 'errorType', 'eventId', 'position', 'correlationId', 'epoch', 'owner'],
  ...['outcome', 'loop', 'failures', 'stream', 'projection', 'seen', 'got', 'deliveryId'],
  ...['eventType', 'httpStatus', 'error', 'durationMs', 'type', 'port', 'workerId', 'config'],
])

type Fields = Readonly<Record<string, unknown>>

/** JSON lines on stdout. */
export type Log = {
  readonly debug: (fields: Fields, message: string) => void
  readonly info: (fields: Fields, message: string) => void
  readonly warn: (fields: Fields, message: string) => void
  readonly error: (fields: Fields, message: string) => void
}

/** An error as a line holds it: never its properties, which drivers fill with values. */
function errorFields(error: unknown): Fields {
  if (!(error instanceof Error)) return { errorType: typeof error }
  return { errorType: error.name, err: { message: error.message, stack: error.stack } }
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
}

/** Opens the log of a role. */
export function openLog({ role, version, level }: LogOptions): Log {
  const logger = pino({
    level,
    base: { service: 'weir', role, version },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  })
  return {
    debug: (fields, message) => logger.debug(allowed(fields), message),
    info: (fields, message) => logger.info(allowed(fields), message),
    warn: (fields, message) => logger.warn(allowed(fields), message),
    error: (fields, message) => logger.error(allowed(fields), message),
  }
}
