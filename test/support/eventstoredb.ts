import { randomUUID } from 'node:crypto'
import { EventStoreDbBell } from '../../infra/eventstoredb/bell.ts'
import {
  EventStoreDbConnection,
  type ConnectionOptions,
} from '../../infra/eventstoredb/connection.ts'

/** A server that a test may break. Its log outlives a kill. */
export interface EventStoreDbServer {
  readonly url: string
  start(): Promise<void>
  /** Without a word, as `kill -9` does. `start` brings it back at the same address. */
  kill(): Promise<void>
  /** Ends it and removes its log. */
  stop(): Promise<void>
}

/** What an event store and feeds need, below a stream prefix that nobody else has. */
export interface OpenEventStoreDb {
  readonly connection: EventStoreDbConnection
  readonly bell: EventStoreDbBell
  readonly streamPrefix: string
  readonly close: () => Promise<void>
}

/** A name for `WEIR_EVENTSTOREDB_STREAM_PREFIX` that nobody else has. */
export function newStreamPrefix(): string {
  return `weirtest${randomUUID().slice(0, 8)}`
}

export function openEventStoreDb(url: string, options?: ConnectionOptions): OpenEventStoreDb {
  const streamPrefix = `${newStreamPrefix()}~`
  const connection = new EventStoreDbConnection(url, 'weir-test', options)
  const bell = new EventStoreDbBell(connection, streamPrefix)
  const close = async (): Promise<void> => {
    await bell.close()
    connection.close()
  }
  return { connection, bell, streamPrefix, close }
}
