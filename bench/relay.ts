// Carries a log into Kafka by the relay, next to raw kafkajs `sendBatch` calls of the same records:
//
//   npm run build && npx tsc -p bench/tsconfig.json --noCheck
//   node dist/bench/bench/relay.js
//
// The log is in memory and the checkpoint too: what is measured is the way from a page of events to
// records that the broker has taken. The broker is the tests' own (test/support/kafka-broker.ts).
import { randomUUID } from 'node:crypto'
import type { Message } from 'kafkajs'
import { NO_STREAM } from '../domain/ports/event-store.ts'
import { encodeEventRecord } from '../infra/kafka/event-record.ts'
import { KafkaEventPublisher } from '../infra/kafka/event-publisher.ts'
import { chosenPartition, keyOf, partitionOf } from '../infra/kafka/partition-of.ts'
import { MemoryRelayCheckpoint } from '../infra/memory/relay-checkpoint.ts'
import { SystemClock } from '../infra/system/clock.ts'
import { fetchEnginePrograms } from '../test/support/engine-programs.ts'
import { ownKafkaBroker } from '../test/support/kafka-broker.ts'
import { KafkaWorld } from '../test/support/kafka-world.ts'
import { Relay } from '../workers/relay.ts'
import { cleanUp, cleanUpAtAnyEnd, onCleanup } from './cleanup.ts'
import { median } from './statistics.ts'

const eventCount = 100_000
const orgs = 50
const eventsPerAppend = 100
const partitions = 4
/** As many as the relay takes in one page. */
const batchRecords = 1_000
const rounds = 5

type Run = { readonly eventsPerSecond: number; readonly nodeMicros: number }

async function fill({ memory }: KafkaWorld): Promise<void> {
  const meta = { actor: 'key:1', correlationId: randomUUID(), causationId: randomUUID() }
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  for (let written = 0; written < eventCount; written += eventsPerAppend) {
    const orgId = `org-${(written / eventsPerAppend) % orgs}`
    const events = Array.from({ length: eventsPerAppend }, () => ({
      ...{ id: randomUUID(), type: 'JobSubmitted' },
      data: { jobId: randomUUID(), jobType: 'sandbox.run', input: { steps: 1, stepMs: 0 } },
      meta: { ...meta, orgId, traceparent, at: '2026-01-02T03:04:05.678Z', schema: 1 },
    }))
    await memory.append(`job-${randomUUID()}`, NO_STREAM, events)
  }
}

async function measure(work: () => Promise<unknown>): Promise<Run> {
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  await work()
  const seconds = (performance.now() - startedMs) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  return { eventsPerSecond: eventCount / seconds, nodeMicros: (user + system) / eventCount }
}

/** The relay from its first page to its last. */
async function byRelay(world: KafkaWorld): Promise<Run> {
  const clock = new SystemClock()
  const relay = new Relay({
    ...{ feed: world.newFeed(), checkpoint: new MemoryRelayCheckpoint(clock), owner: 'bench' },
    ...{ clock, publisher: new KafkaEventPublisher(world.connection) },
    report: (level, fields, message) => {
      if (level !== 'info') process.stderr.write(`${level} ${message} ${String(fields['err'])}\n`)
    },
  })
  const run = await measure(async () => {
    while ((await relay.turn()) === 'busy');
  })
  await relay.loop().stop(AbortSignal.abort())
  return run
}

/** What a program would do that has the records already, with the same promises of the broker. */
async function byHand(world: KafkaWorld): Promise<Run> {
  const { connection } = world
  const { topic } = connection.topics.events
  await connection.ensureTopics([connection.topics.events])
  const messages = await encoded(world)
  const producer = connection.newClient().producer({
    ...{ idempotent: true, maxInFlightRequests: 1, createPartitioner: () => chosenPartition },
  })
  await producer.connect()
  const run = await measure(async () => {
    for (let at = 0; at < messages.length; at += batchRecords) {
      const topicMessages = [{ topic, messages: messages.slice(at, at + batchRecords) }]
      await producer.sendBatch({ topicMessages, acks: -1 })
    }
  })
  await producer.disconnect()
  return run
}

async function encoded(world: KafkaWorld): Promise<Message[]> {
  const feed = world.newFeed()
  const messages: Message[] = []
  for (let from = feed.start; ;) {
    const { events, position } = await feed.readPage(from, batchRecords)
    if (events.length === 0) return messages
    for (const event of events) {
      const partition = partitionOf(keyOf(event), partitions)
      messages.push({ ...encodeEventRecord({ event, previous: null, partitions }), partition })
    }
    from = position
  }
}

function line(name: string, runs: readonly Run[]): string {
  const rate = median(runs.map(({ eventsPerSecond }) => eventsPerSecond)).toFixed(0)
  const micros = median(runs.map(({ nodeMicros }) => nodeMicros)).toFixed(1)
  return `${name.padEnd(6)}${rate.padStart(8)} events/s; CPU per event ${micros.padStart(6)} µs`
}

async function main(): Promise<void> {
  await fetchEnginePrograms()
  const broker = await ownKafkaBroker()
  onCleanup('the broker', () => broker.stop())
  const [raw, relay]: [Run[], Run[]] = [[], []]
  // The first round warms up and does not count.
  for (let round = 0; round <= rounds; round += 1) {
    const world = new KafkaWorld(broker.brokers.split(','), partitions)
    await fill(world)
    const byHandRun = await byHand(world)
    const relayed = await byRelay(world)
    await world.close()
    if (round === 0) continue
    raw.push(byHandRun)
    relay.push(relayed)
  }
  const ratio = median(
    relay.map((run, at) => run.eventsPerSecond / (raw[at]?.eventsPerSecond ?? 1)),
  )
  process.stdout.write(`${line('raw', raw)}\n${line('relay', relay)}\n`)
  process.stdout.write(`relay / raw = ${ratio.toFixed(2)} (median of ${String(rounds)} rounds)\n`)
}

cleanUpAtAnyEnd()
try {
  await main()
} finally {
  await cleanUp()
}
