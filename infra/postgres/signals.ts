import type pg from 'pg'
import type { Json, JsonObject } from '../../domain/json.ts'
import { type SignalTopic, Signals } from '../../domain/ports/signals.ts'
import { signalChannelPrefix } from './channels.ts'
import type { PostgresListener } from './listener.ts'
import { Notifier, payloadBytesMax } from './notifier.ts'

/** Signals by NOTIFY, a channel per topic. */
export class PostgresSignals extends Signals {
  readonly #notifier: Notifier
  readonly #listener: PostgresListener
  #dropped = 0

  constructor(pool: pg.Pool, listener: PostgresListener) {
    super()
    this.#notifier = new Notifier(pool)
    this.#listener = listener
  }

  /** Signals that were too large for a notification and could not be split. */
  get dropped(): number {
    return this.#dropped
  }

  override async publish(topic: SignalTopic, payload: JsonObject): Promise<void> {
    const texts = splitPayload(payload)
    if (texts === null) {
      this.#dropped += 1
      return
    }
    const channel = signalChannelPrefix + topic
    await Promise.all(texts.map((text) => this.#notifier.notify(channel, text)))
  }

  override async subscribe(
    topic: SignalTopic,
    heard: (payload: JsonObject) => void,
  ): Promise<() => Promise<void>> {
    return await this.#listener.listen(signalChannelPrefix + topic, {
      heard: (text) => {
        const payload = parsed(text)
        if (payload) heard(payload)
      },
      missed: () => undefined,
    })
  }
}

/**
 * The payload as texts that fit into notifications: a list in it is halved until it fits, and
 * everything else is repeated in each part. Null when that does not help.
 */
export function splitPayload(payload: JsonObject): readonly string[] | null {
  const text = JSON.stringify(payload)
  if (Buffer.byteLength(text) <= payloadBytesMax) return [text]
  const longest = longestList(payload)
  if (!longest) return null
  const [name, list] = longest
  const middle = Math.ceil(list.length / 2)
  const first = splitPayload({ ...payload, [name]: list.slice(0, middle) })
  const second = splitPayload({ ...payload, [name]: list.slice(middle) })
  return first && second ? [...first, ...second] : null
}

/** Null for what is no signal of ours: anybody with the database's password can send a NOTIFY. */
function parsed(text: string): JsonObject | null {
  try {
    return JSON.parse(text) as JsonObject
  } catch {
    return null
  }
}

function longestList(payload: JsonObject): readonly [string, readonly Json[]] | null {
  let longest: readonly [string, readonly Json[]] | null = null
  for (const [name, value] of Object.entries(payload)) {
    if (isList(value) && value.length > (longest?.[1].length ?? 1)) longest = [name, value]
  }
  return longest
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
