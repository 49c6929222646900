// What one socket, or the sockets of one org, may ask of the api. Every limit has its unit; whoever
// goes beyond one is told `rate_limited`, and whoever goes on after that is cut off.

/** What a socket may ask for at all. */
export const requestNames: readonly unknown[] = ['subscribe', 'unsubscribe']
/** Channels of one socket. */
export const subscriptionsMax = 1_000
/** Largest message of a client, bytes. */
export const frameBytesMax = 16_384
/** A connection that has not said who it is by then is closed, ms. */
export const introductionMs = 10_000
/** Open sockets of one org at one process. */
export const socketsOfOrgMax = 5_000
/** Requests that a socket may send at once: as many as it can have channels to resume, and some. */
const requestsAtOnceMax = 1_500
/** From then on this many per second. */
const requestsPerSecond = 50
/** A socket that was refused so often is cut off; one refusal is forgiven per fill. */
const refusalsMax = 500
/** Subscriptions of one socket that are read from the log at the same time; others wait. */
export const readsMax = 8
/** Messages that wait for a client that does not read, until it is cut off. */
const unreadMax = 5_000
/** The same in bytes: with large metadata a message is twenty times as large as usual. */
const unreadBytesMax = 8_000_000

/** What a socket may still ask: a bucket that fills up again by and by. */
export class RequestBudget {
  #left = requestsAtOnceMax
  #filledAt: number
  #refusals = 0

  constructor(nowMs: number) {
    this.#filledAt = nowMs
  }

  /** Whether one more request may be looked at. */
  take(nowMs: number): boolean {
    const gained = ((nowMs - this.#filledAt) / 1_000) * requestsPerSecond
    this.#left = Math.min(requestsAtOnceMax, this.#left + Math.max(0, gained))
    this.#filledAt = nowMs
    // Forgiven by and by, not at once: in a flood every fill lets one request through.
    this.#refusals = Math.max(0, this.#refusals - Math.max(0, gained))
    if (this.#left < 1) {
      this.#refusals += 1
      return false
    }
    this.#left -= 1
    return true
  }

  /** Refusals do not impress it. */
  get isAbused(): boolean {
    return this.#refusals > refusalsMax
  }
}

/** Messages that were sent to a client and have not left the process. */
export class Unread {
  #count = 0
  #bytes = 0
  #waiting: (() => void)[] = []

  /** One more. False when the client does not read them any more. */
  add(): boolean {
    this.#count += 1
    return this.#count <= unreadMax && this.#bytes <= unreadBytesMax
  }

  /** So large is what waits since one was sent. */
  grow(bytes: number): void {
    this.#bytes += bytes
  }

  /** All of them have left. */
  clear(): void {
    this.#count = 0
    this.#bytes = 0
    for (const goOn of this.#waiting.splice(0)) goOn()
  }

  /** Resolves when none is left. */
  async left(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

/** Open sockets, by org. */
export class SocketsByOrg {
  readonly #counts = new Map<string, number>()

  hasRoom(orgId: string): boolean {
    return (this.#counts.get(orgId) ?? 0) < socketsOfOrgMax
  }

  opened(orgId: string): void {
    this.#counts.set(orgId, (this.#counts.get(orgId) ?? 0) + 1)
  }

  closed(orgId: string): void {
    const left = (this.#counts.get(orgId) ?? 1) - 1
    if (left > 0) this.#counts.set(orgId, left)
    else this.#counts.delete(orgId)
  }
}
