/** Identifiers and randomness. */
export abstract class Ids {
  /** A new UUIDv7: unique, and ordered by time. */
  abstract next(): string

  /** A UUIDv5 of what caused the thing: the same cause, the same id, so that retries are safe. */
  abstract derive(...cause: readonly string[]): string

  /** Unpredictable bytes, for secrets. */
  abstract bytes(count: number): Uint8Array

  /** Uniform in [0, 1), for jitter. */
  abstract random01(): number
}
