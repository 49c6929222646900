import { setTimeout as sleep } from 'node:timers/promises'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import type { EventStoreDbConnection, Link } from './connection.ts'
import { filterStreams, readOptions, type Recorded } from './read.ts'

/** What somebody does when the log has grown. */
export type Hearer = {
  /** To this event at least. */
  readonly heard: (recorded: Recorded) => void
  /** Nobody listened for a while: it may have grown, or not. */
  readonly missed: () => void
}

const pauseMsMin = 100
const pauseMsMax = 5_000
/** A subscription that is not confirmed by then is given up. */
const confirmMsMax = 5_000

/**
 * The one subscription of a process to the end of the log. It only rings: what is followed is read
 * in pages, so nothing is lost with a ring, and no position of a subscription is ever stored.
 * It begins when first listened to, and again, after a growing pause, whenever it ends.
 */
export class EventStoreDbBell {
  readonly #connection: EventStoreDbConnection
  readonly #streamPrefix: string
  readonly #hearers = new Set<Hearer>()
  readonly #closing = new AbortController()
  #running: Promise<void> | null = null

  constructor(connection: EventStoreDbConnection, streamPrefix = '') {
    this.#connection = connection
    this.#streamPrefix = streamPrefix
  }

  /** For as long as the bell is not closed. */
  listen(hearer: Hearer): void {
    this.#hearers.add(hearer)
    this.#running ??= this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    let pauseMs = pauseMsMin
    while (!signal.aborted) {
      const wasConfirmed = await this.#connection.link().then(
        (link) => this.#subscription(link),
        () => false,
      )
      pauseMs = wasConfirmed ? pauseMsMin : Math.min(pauseMs * 2, pauseMsMax)
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** One subscription from its beginning to its end; false when it was never confirmed. */
  #subscription(link: Link): Promise<boolean> {
    return new Promise((resolve) => {
      const call = link.streams.read(this.#request(), this.#connection.metadata)
      const over = AbortSignal.any([link.dropped, this.#closing.signal])
      let wasConfirmed = false
      const end = (): void => {
        clearTimeout(timer)
        over.removeEventListener('abort', end)
        call.cancel()
        resolve(wasConfirmed)
      }
      const timer = setTimeout(end, confirmMsMax)
      over.addEventListener('abort', end)
      call.on('data', (response: ReadResp) => {
        if (!wasConfirmed && response.hasConfirmation()) {
          wasConfirmed = true
          clearTimeout(timer)
          this.#connection.answered()
          for (const { missed } of this.#hearers) missed()
        }
        const recorded = response.getEvent()?.getEvent()
        if (recorded) for (const { heard } of this.#hearers) heard(recorded)
      })
      call.on('end', end)
      call.on('error', (error: Error) => {
        this.#connection.failed(link, error)
        end()
      })
      if (over.aborted) end()
    })
  }

  #request(): ReadReq {
    const options = readOptions()
    const all = new streams.ReadReq.Options.AllOptions()
    all.setEnd(new shared.Empty())
    options.setAll(all)
    options.setSubscription(new streams.ReadReq.Options.SubscriptionOptions())
    filterStreams(options, this.#streamPrefix)
    const request = new streams.ReadReq()
    request.setOptions(options)
    return request
  }
}
