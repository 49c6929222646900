import type pg from 'pg'
import { Batcher } from '../batcher.ts'
import { textArray } from './binary-array.ts'

type Notification = { readonly payload: string; readonly done: () => void }

/** Postgres refuses payloads of 8,000 bytes and more. */
export const payloadBytesMax = 7_900

const batchMax = 200

/** Whoever listens reads in pages: under load a bell every few milliseconds is enough. */
const restMs = 4

/** Beyond it notifications are lost at once: Postgres has been away for long. */
const waitingMax = 10_000

/**
 * Sends NOTIFY on one channel: at most one statement in flight, equal payloads that wait are sent
 * once. Never in the transaction of the work, because a notifying commit takes a lock on the whole
 * database. A notification that cannot be sent is lost; all of weir treats them as hints.
 */
export class Notifier {
  readonly #pool: pg.Pool
  readonly #channel: string
  readonly #batcher: Batcher<Notification>
  #waiting = 0

  constructor(pool: pg.Pool, channel: string) {
    this.#pool = pool
    this.#channel = channel
    this.#batcher = new Batcher<Notification>({
      inFlightMax: 1,
      batchMax,
      restMs,
      run: (batch) => this.#send(batch),
    })
  }

  /** Resolves when the notification was sent or lost. `payload` has `payloadBytesMax` at most. */
  notify(payload: string): Promise<void> {
    if (this.#waiting >= waitingMax) return Promise.resolve()
    this.#waiting += 1
    return new Promise((done) => this.#batcher.add({ payload, done }))
  }

  async #send(batch: readonly Notification[]): Promise<void> {
    const payloads = [...new Set(batch.map((notification) => notification.payload))]
    await this.#pool.query(notification(this.#channel, payloads)).catch(() => undefined)
    this.#waiting -= batch.length
    for (const notification of batch) notification.done()
  }
}

/**
 * Sends payloads on a channel. Never in the transaction of the work, because a notifying commit
 * takes a lock on the whole database.
 */
export function notification(channel: string, payloads: readonly string[]): pg.QueryConfig {
  return {
    name: 'notify',
    text: 'SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload',
    values: [channel, textArray(payloads)],
  }
}
