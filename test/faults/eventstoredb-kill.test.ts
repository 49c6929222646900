import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { UnknownOutcome } from '../../domain/ports/event-store.ts'
import { EventStoreDbEventFeed } from '../../infra/eventstoredb/event-feed.ts'
import { EventStoreDbEventStore } from '../../infra/eventstoredb/event-store.ts'
import { newEvents, newStream } from '../contracts/event-store.contract.ts'
import { ownEventStoreDb } from '../support/eventstoredb-server.ts'
import { openEventStoreDb } from '../support/eventstoredb.ts'
import type { EventStoreDbServer, OpenEventStoreDb } from '../support/eventstoredb.ts'
import { waitFor } from '../support/wait-for.ts'

// The event store is killed while many write: a real server where there is an engine for it.

const writers = 8
const appendsPerWriter = 40
const kills = 3
const limitMs = 600_000
const never = new AbortController().signal

let server: EventStoreDbServer
let db: OpenEventStoreDb

beforeAll(async () => {
  server = await ownEventStoreDb()
  db = openEventStoreDb(server.url, { appendMs: 1_000 })
}, limitMs)

afterAll(async () => {
  await db.close()
  await server.stop()
})

test(
  'killed and started again, the log has each append once, in order, and the feed too',
  async () => {
    const store = new EventStoreDbEventStore(db.connection, db.bell, db.streamPrefix)
    const feed = new EventStoreDbEventFeed(db.connection, db.bell, db.streamPrefix)
    let appended = 0
    const streams = Array.from({ length: writers }, newStream)
    const written = streams.map(async (stream) => {
      const ids: string[] = []
      for (let revision = -1; revision < appendsPerWriter - 1; revision += 1) {
        const events = newEvents(1)
        const isWritten = async (): Promise<boolean> =>
          await store.append(stream, revision, events).then(
            () => true,
            (error: unknown) => {
              if (error instanceof UnknownOutcome) return false
              throw error
            },
          )
        await waitFor('the append to have an outcome', isWritten, 60_000)
        appended += 1
        ids.push(...events.map(({ id }) => id))
      }
      return ids
    })
    for (let kill = 1; kill <= kills; kill += 1) {
      const until = (writers * appendsPerWriter * kill) / (kills + 1)
      await waitFor('some appends', () => appended >= until, 60_000)
      await server.kill()
      await server.start()
    }
    const ids = await Promise.all(written)
    for (const [at, stream] of streams.entries()) {
      expect((await store.read(stream, 0)).map(({ id }) => id)).toEqual(ids[at])
    }
    const seen = new Map<string, string[]>()
    for (let after = feed.start; ;) {
      const page = await feed.readPage(after, 100)
      for (const { stream, id } of page.events) seen.set(stream, [...(seen.get(stream) ?? []), id])
      if (page.events.length === 0) break
      after = page.position
    }
    expect(streams.map((stream) => seen.get(stream))).toEqual(ids)
    await feed.wait(10, never)
  },
  limitMs,
)
