import { Inject, Injectable } from '@nestjs/common'
import { getBalance, getBalances } from '../queries/get-credits.ts'
import type { Balance } from '../queries/get-credits.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Signals may be lost; then this is how late an org hears of its balance, ms. */
const recheckMs = 5_000

type Listener = (balance: Balance) => void

type Channel = {
  readonly listeners: Set<Listener>
  /** The balance that was told last, or where the listeners began, as text; null before that. */
  told: string | null
  /** One read at a time, so that an older balance never follows a newer one. */
  reading: Promise<void> | null
  again: boolean
}

/** Live only: the balance of an org when it moves. */
@Injectable()
export class BalanceChannels {
  readonly #runtime: Runtime
  readonly #channels = new Map<string, Channel>()
  readonly #closing = new AbortController()
  #unsubscribe: () => Promise<void> = () => Promise.resolve()

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async open(): Promise<void> {
    this.#unsubscribe = await this.#runtime.signals.subscribe('balance_updates', ({ orgIds }) => {
      if (Array.isArray(orgIds)) for (const orgId of orgIds) this.#heard(String(orgId))
    })
    void this.#recheck()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#unsubscribe()
  }

  /**
   * Tells the listener each balance that comes after the present one. Resolves when it would be
   * heard, with how to stop.
   */
  async watch(orgId: string, listener: Listener): Promise<() => void> {
    const fresh = { listeners: new Set<Listener>(), told: null, reading: null, again: false }
    const channel: Channel = this.#channels.get(orgId) ?? fresh
    this.#channels.set(orgId, channel)
    channel.listeners.add(listener)
    if (channel.told === null) await this.#readOn(orgId, channel)
    return () => {
      channel.listeners.delete(listener)
      if (channel.listeners.size === 0 && this.#channels.get(orgId) === channel) {
        this.#channels.delete(orgId)
      }
    }
  }

  #heard(orgId: string): void {
    const channel = this.#channels.get(orgId)
    if (channel) void this.#readOn(orgId, channel)
  }

  /** Resolves when the balance was read that stands now, or could not be. */
  #readOn(orgId: string, channel: Channel): Promise<void> {
    channel.again = true
    channel.reading ??= this.#read(orgId, channel)
      .catch((error: unknown) => {
        // The next recheck tells it.
        this.#runtime.log.error({ err: error, orgId }, 'balance channel could not be told')
      })
      .finally(() => {
        channel.reading = null
      })
    return channel.reading
  }

  async #read(orgId: string, channel: Channel): Promise<void> {
    while (channel.again) {
      channel.again = false
      tell(channel, await getBalance(this.#runtime.sql, orgId))
    }
  }

  async #recheck(): Promise<void> {
    const { clock, sql, log } = this.#runtime
    const { signal } = this.#closing
    while (!signal.aborted) {
      await clock.sleep(recheckMs, signal)
      try {
        for (const balance of await getBalances(sql, [...this.#channels.keys()])) {
          const { orgId } = balance
          // Told by a read of its own, in its turn.
          if (this.#channels.get(orgId)?.told !== JSON.stringify(balance)) this.#heard(orgId)
        }
      } catch (error) {
        log.error({ err: error }, 'balance channels could not be rechecked')
      }
    }
  }
}

/** The first thing that is read is where the listeners begin; it is not told. */
function tell(channel: Channel, balance: Balance | null): void {
  const text = JSON.stringify(balance)
  const hasMoved = channel.told !== null && channel.told !== text
  channel.told = text
  if (hasMoved && balance) for (const listener of channel.listeners) listener(balance)
}
