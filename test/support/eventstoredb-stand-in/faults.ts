/** What can be made to happen to an append. */
export type AppendFault =
  /** It is neither written nor answered. */
  | 'silence'
  /** It is written and never answered. */
  | 'silence after commit'
  /** It is written, and answered when `releaseAnswers` is called. */
  | 'late answer'
  /** The server gives up on it, which it says; it is not written. */
  | 'timeout'
  /** The server gives up on it, and it is written all the same. */
  | 'timeout after commit'
  /** The server has too much to do; it is not written. */
  | 'busy'
  /** The node starts, or has lost the others; it is not written. */
  | 'not ready'

export type Leader = { readonly host: string; readonly port: number }

/** For whom a server may take the user of a call. */
export type User =
  /** Somebody whom it does not know, or with another password. */
  | 'unknown'
  /** Nobody: no user was named. */
  | 'anonymous'
  /** One who may use streams, and not read `$all`. */
  | 'no admin'
  | 'admin'

/** The faults of one stand-in, to be switched on and off while it runs. */
export class Faults {
  /** Another node that must be asked instead. */
  leader: Leader | null = null
  /** Whoever calls from now on is taken for that one. */
  user: User = 'admin'
  /** A stream that cannot be read, for what its place on the disk holds. */
  brokenStream: string | null = null
  /** More than so many bytes are not taken by one append. */
  appendBytesMax = 1_048_576
  /** Reads and subscriptions that begin from now on are never answered. */
  areReadsSilent = false
  #appends: AppendFault[] = []
  #late: (() => void)[] = []

  /** The next `count` appends meet with the fault, wherever they come from. */
  nextAppends(fault: AppendFault, count = 1): void {
    this.#appends.push(...Array.from({ length: count }, () => fault))
  }

  /** Faults that no append has met with yet. */
  get appendsLeft(): number {
    return this.#appends.length
  }

  /** Answers that wait for `releaseAnswers`. */
  get lateAnswers(): number {
    return this.#late.length
  }

  takeAppendFault(): AppendFault | null {
    return this.#appends.shift() ?? null
  }

  holdAnswer(answer: () => void): void {
    this.#late.push(answer)
  }

  releaseAnswers(): void {
    for (const answer of this.#late.splice(0)) answer()
  }

  clear(): void {
    this.leader = null
    this.user = 'admin'
    this.brokenStream = null
    this.areReadsSilent = false
    this.#appends = []
  }
}
