import { randomBytes } from 'node:crypto'
import { KafkaConnection } from '../../infra/kafka/connection.ts'
import type { KafkaReport } from '../../infra/kafka/log.ts'
import type { KafkaSettings } from '../../infra/kafka/settings.ts'
import { SystemClock } from '../../infra/system/clock.ts'

const quiet: KafkaReport = () => undefined

/** A connection with topics and groups of its own. */
export function openKafka(
  brokers: readonly string[],
  more: Partial<KafkaSettings> = {},
  report = quiet,
): KafkaConnection {
  const topicPrefix = `test-${randomBytes(6).toString('hex')}`
  const client = { brokers, clientId: 'weir-test', ssl: false, sasl: null, topicPrefix }
  const topics = { partitions: 4, replication: 1, retentionMs: 3_600_000 }
  return new KafkaConnection({ ...client, ...topics, ...more }, new SystemClock(), report)
}
