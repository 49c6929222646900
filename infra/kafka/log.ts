import { logLevel, type logCreator, type LogEntry } from 'kafkajs'

/** Where adapters tell what a person may have to know. */
export type KafkaReport = (
  level: 'info' | 'warn' | 'error',
  fields: Readonly<Record<string, unknown>>,
  message: string,
) => void

/** kafkajs warns of every idempotent producer whose retries end; ours end with its first error. */
const expected = 'Limiting retries for the idempotent producer'

/**
 * What kafkajs logs, for our log. Its errors are ones that it or we repair by trying again: a
 * warning here. What cannot be repaired is told by whoever gives up.
 */
export function reportTo(report: KafkaReport): logCreator {
  return () =>
    ({ level, namespace, log }: LogEntry) => {
      if (level > logLevel.WARN || log.message.startsWith(expected)) return
      const error = typeof log['error'] === 'string' ? { error: log['error'] } : {}
      report(level === logLevel.ERROR ? 'warn' : 'info', error, `[${namespace}] ${log.message}`)
    }
}
