import type pg from 'pg'
import { Batcher } from '../batcher.ts'
import { textArray } from './binary-array.ts'

type Notification = {
  readonly channel: string
  readonly payload: string
  readonly done: () => void
}

/** Postgres refuses payloads of 8,000 bytes and more. */
export const payloadBytesMax = 7_900

const batchMax = 200

/** Whoever listens reads in pages: under load a bell every few milliseconds is enough. */
const restMs = 4

/** Beyond it notifications are lost at once: Postgres has been away for long. */
const waitingMax = 10_000

/**
 * Sends NOTIFY: at most one statement in flight; of equal notifications that wait Postgres delivers
 * one. Several channels share a notifier, because each statement wakes everybody who listens to
 * anything. Never in the transaction of the work, because a notifying commit takes a
 * lock on the whole database. A notification that cannot be sent is lost; all of weir treats them
 * as hints.
 */
export class Notifier {
  readonly #pool: pg.Pool
  readonly #batcher: Batcher<Notification>
  #waiting = 0

  constructor(pool: pg.Pool) {
    this.#pool = pool
    this.#batcher = new Batcher<Notification>({
      inFlightMax: 1,
      batchMax,
      restMs,
      run: (batch) => this.#send(batch),
    })
  }

  /** Resolves when the notification was sent or lost. `payload` has `payloadBytesMax` at most. */
  notify(channel: string, payload: string): Promise<void> {
    if (this.#waiting >= waitingMax) return Promise.resolve()
    this.#waiting += 1
    return new Promise((done) => this.#batcher.add({ channel, payload, done }))
  }

  async #send(batch: readonly Notification[]): Promise<void> {
    await this.#pool.query(notifyStatement(batch)).catch(() => undefined)
    this.#waiting -= batch.length
    for (const { done } of batch) done()
  }
}

/** Never in the transaction of the work: a notifying commit takes a lock on the whole database. */
export function notifyStatement(
  sent: readonly Pick<Notification, 'channel' | 'payload'>[],
): pg.QueryConfig {
  return {
    name: 'notify',
    text: `SELECT pg_notify(channel, payload)
      FROM unnest($1::text[], $2::text[]) AS sent (channel, payload)`,
    values: [
      textArray(sent.map(({ channel }) => channel)),
      textArray(sent.map(({ payload }) => payload)),
    ],
  }
}
