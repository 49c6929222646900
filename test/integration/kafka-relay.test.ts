import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { NO_STREAM } from '../../domain/ports/event-store.ts'
import type { FollowPartition } from '../../domain/ports/feed-partitions.ts'
import { KafkaAnnouncements } from '../../infra/kafka/announcements.ts'
import { KafkaAnnouncer } from '../../infra/kafka/announcer.ts'
import { KafkaEventPublisher } from '../../infra/kafka/event-publisher.ts'
import { KafkaSignals } from '../../infra/kafka/signals.ts'
import { MemoryRelayCheckpoint } from '../../infra/memory/relay-checkpoint.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import type { Loop } from '../../workers/loop.ts'
import { Relay } from '../../workers/relay.ts'
import { newEvent } from '../contracts/event-store.contract.ts'
import { describeKafka } from '../support/describe-kafka.ts'
import { ownKafkaBroker, sharedMs } from '../support/kafka-broker.ts'
import type { KafkaBroker } from '../support/kafka-settings.ts'
import { KafkaWorld } from '../support/kafka-world.ts'
import { waitFor } from '../support/wait-for.ts'

const partitions = 4
/** A broker's start on a busy machine, and the restart of everything that lost it. */
const healMs = 120_000
const testMs = 5 * healMs

/** Orgs that are written to, each with one stream. */
const orgs = Array.from({ length: 24 }, (_, at) => `org-${at}`)

describeKafka('the log, relayed to Kafka', () => {
  let broker: KafkaBroker
  let world: KafkaWorld
  let checkpoint: MemoryRelayCheckpoint
  let stops: (() => Promise<unknown>)[]
  /** Checkpoints of the shares; whoever moves one from where it does not stand is refused. */
  let stands: Map<string, string>
  let read: Map<string, string[]>

  beforeEach(async () => {
    broker = await ownKafkaBroker()
    world = new KafkaWorld(broker.brokers.split(','), partitions)
    checkpoint = new MemoryRelayCheckpoint(new SystemClock())
    world.mark = async () => (await checkpoint.stand()).mark
    stops = []
    ;[stands, read] = [new Map(), new Map()]
  }, sharedMs)

  afterEach(async () => {
    await Promise.all(stops.map((stop) => stop()))
    await world.close()
    await broker.stop()
  }, testMs)

  function startRelay(owner: string): Loop {
    const relay = new Relay({
      ...{ feed: world.newFeed(), checkpoint, clock: new SystemClock(), owner },
      publisher: new KafkaEventPublisher(world.connection),
      report: (level, _, message) => void world.told.push(`${level} ${message}`),
    })
    const loop = relay.loop()
    loop.start()
    stops.push(() => loop.stop(AbortSignal.abort()))
    return loop
  }

  /** Reads pages and moves the checkpoint of the share with them, as a projector does. */
  const work: FollowPartition = async ({ name, feed, signal }) => {
    while (!signal.aborted) {
      const from = stands.get(name) ?? feed.start
      const page = await feed.readPage(from, 100).catch(() => null)
      if (page === null || page.events.length === 0) {
        await feed.wait(200, signal)
        continue
      }
      if ((stands.get(name) ?? feed.start) !== from) continue
      stands.set(name, page.position)
      for (const { stream, revision } of page.events) {
        read.set(stream, [...(read.get(stream) ?? []), String(revision)])
      }
    }
  }

  async function startReader(): Promise<() => Promise<void>> {
    const stop = await world.newProcess().follow('reader', work)
    stops.push(stop)
    return stop
  }

  /** Writes until it is told to stop; resolves with how many events it wrote. */
  function startWriter(): () => Promise<void> {
    const stopping = new AbortController()
    const { signal } = stopping
    const write = async (): Promise<void> => {
      for (let revision = NO_STREAM; !signal.aborted; revision += 1) {
        for (const orgId of orgs) {
          const event = newEvent({ revision })
          const ours = { ...event, meta: { ...event.meta, orgId } }
          await world.memory.append(`account-${orgId}`, revision, [ours])
        }
        await new SystemClock().sleep(20, signal)
      }
    }
    const writing = write()
    return async () => {
      stopping.abort()
      await writing
    }
  }

  /** What comes back rings both bells until they are heard. */
  async function startListening(): Promise<() => Promise<boolean>> {
    const { connection, sender } = world
    const signals = new KafkaSignals(connection, sender)
    let [rung, announced] = [0, 0]
    await signals.subscribe('job_cancel', () => (rung += 1))
    await new KafkaAnnouncements(connection).listen(['image'], () => (announced += 1))
    const announcer = new KafkaAnnouncer(connection, sender)
    return async () => {
      ;[rung, announced] = [0, 0]
      await Promise.all([
        signals.publish('job_cancel', { jobIds: ['j'] }),
        announcer.announce(['image']),
      ])
      return await waitFor('both', () => rung > 0 && announced > 0, 1_000).catch(() => false)
    }
  }

  const count = (): number => [...read.values()].flat().length

  /** Every event was read once, each stream in its order. */
  async function expectAllRead(): Promise<void> {
    const { events } = world.log
    await waitFor('everything to be read', () => count() >= events.length, healMs)
    for (const [stream, texts] of world.log.streams) {
      const revisions = texts.map(({ revision }) => String(revision))
      expect({ stream, read: read.get(stream) }).toEqual({ stream, read: revisions })
    }
  }

  const moreRead = async (events = 300): Promise<void> => {
    const before = count()
    await waitFor('more to be read', () => count() > before + events, healMs)
  }

  test(
    'is read once and in order, through restarts of everything that carries it',
    async () => {
      const stopWriting = startWriter()
      const first = startRelay('first')
      const stopReader = await startReader()
      await moreRead()
      startRelay('second')
      await startReader()
      await first.stop(AbortSignal.abort())
      await moreRead()
      await stopReader()
      await moreRead()
      await broker.kill()
      await broker.start()
      await moreRead()
      await stopWriting()
      await expectAllRead()
      expect(world.told.filter((line) => line.startsWith('error work'))).toEqual([])
    },
    testMs,
  )

  test(
    'is there again after Kafka has lost everything, for old readers and new ones',
    async () => {
      const stopWriting = startWriter()
      startRelay('relay')
      await startReader()
      const isHeard = await startListening()
      await moreRead()
      await broker.kill()
      await broker.wipe()
      await broker.start()
      await moreRead()
      await waitFor('a signal and an announcement to be heard again', isHeard, healMs)
      await stopWriting()
      await expectAllRead()
      expect(world.told).toContain('warn what was published is gone: it is read from the log')
      const ranges = await world.connection.ranges(world.connection.topics.events)
      expect(ranges).toHaveLength(partitions)
      const records = ranges.reduce((sum, { high }) => sum + high, 0)
      expect(records).toBeLessThan(world.log.events.length)
      ;[stands, read] = [new Map(), new Map()]
      await world
        .newProcess()
        .follow('newcomer', work)
        .then((stop) => stops.push(stop))
      await expectAllRead()
    },
    testMs,
  )
})
