import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from './log.ts'

/** Longest wait for the receiver, ms. */
const sendLimitMs = 5_000
/** Longest wait for reports that are under way when the process ends, ms. */
const lastWaitMs = 2_000
/** Reports of one process in one minute; an error that repeats does not flood anybody. */
const reportsPerMinuteMax = 20
const minuteMs = 60_000
const framesMax = 50

export type ErrorReportingOptions = {
  readonly dsn: string
  readonly role: string
  readonly version: string
}

/** What may accompany an error: ids that lead to the log line. Never a payload. */
const toldFields: readonly string[] = [
  ...['requestId', 'traceId', 'route', 'jobId', 'orgId', 'loop', 'deliveryId'],
]

/**
 * A log that also reports its errors to a Sentry-compatible receiver: their type, the places of
 * their stack and the words of the log line. The error's own message stays here, because drivers
 * and parsers put values of customers into it.
 */
export function reportErrors(log: Log, options: ErrorReportingOptions): Log {
  const target = parseDsn(options.dsn)
  let sentSince = -Infinity
  let sent = 0
  const underWay = new Set<Promise<void>>()
  const report = (level: Level, fields: Fields, message: string): void => {
    // Whoever watches weir must not be able to harm it: what fails here is forgotten.
    const sending = send(target, envelope(options, { level, fields, message }))
      .catch(() => undefined)
      .finally(() => underWay.delete(sending))
    underWay.add(sending)
  }
  return {
    ...log,
    error: (fields, message) => {
      log.error(fields, message)
      const now = performance.now()
      if (now - sentSince > minuteMs) {
        sentSince = now
        sent = 0
      }
      if ((sent += 1) <= reportsPerMinuteMax) report('error', fields, message)
    },
    fatal: async (fields, message) => {
      await log.fatal(fields, message)
      report('fatal', fields, message)
      await Promise.race([Promise.all(underWay), sleep(lastWaitMs, undefined, { ref: false })])
    },
  }
}

type Target = { readonly url: string; readonly auth: string }

/** `https://<key>@<host>/<path>/<project>` → `https://<host>/<path>/api/<project>/envelope/`. */
function parseDsn(dsn: string): Target {
  const { protocol, host, pathname, username } = new URL(dsn)
  const at = pathname.lastIndexOf('/')
  const url = `${protocol}//${host}${pathname.slice(0, at)}/api/${pathname.slice(at + 1)}/envelope/`
  return { url, auth: `Sentry sentry_version=7, sentry_client=weir/1, sentry_key=${username}` }
}

async function send({ url, auth }: Target, body: string): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-sentry-envelope', 'x-sentry-auth': auth },
    body,
    signal: AbortSignal.timeout(sendLimitMs),
  })
  await response.body?.cancel()
}

type Level = 'error' | 'fatal'
type Fields = Parameters<Log['error']>[0]
type Told = { readonly level: Level; readonly fields: Fields; readonly message: string }

function envelope({ role, version }: ErrorReportingOptions, { level, fields, message }: Told) {
  const eventId = randomUUID().replaceAll('-', '')
  const sentAt = new Date().toISOString()
  const error = fields['err']
  const tags = toldFields.flatMap((name) => {
    const value = fields[name]
    return typeof value === 'string' ? [[name, value] as const] : []
  })
  const event = {
    event_id: eventId,
    timestamp: sentAt,
    platform: 'node',
    level,
    release: `weir@${version}`,
    server_name: `weir-${role}`,
    logentry: { formatted: message },
    tags: { role, ...Object.fromEntries(tags) },
    exception: {
      values: [
        {
          type: error instanceof Error ? error.name : 'Error',
          value: message,
          stacktrace: { frames: error instanceof Error ? framesOf(error) : [] },
        },
      ],
    },
  }
  const lines = [{ event_id: eventId, sent_at: sentAt }, { type: 'event' }, event]
  return `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`
}

/** The places of a stack, oldest call first. Its first lines, which hold the message, are not. */
function framesOf({ stack = '' }: Error) {
  const places = [...stack.matchAll(/^ {4}at (?:(.+) \()?(.+?):(\d+):(\d+)\)?$/gm)]
  return places
    .slice(0, framesMax)
    .map(([, name = '?', filename, line, column]) => ({
      ...{ function: name, filename, lineno: Number(line), colno: Number(column) },
      in_app: filename?.includes('node_modules') === false && !filename.startsWith('node:'),
    }))
    .reverse()
}
