import type { RecordedEvent } from '../envelope.ts'

/**
 * Carries recorded events to those who follow them live. One relay at a time publishes, as a rule;
 * when two do for a moment, readers drop what is not beyond the last position that they have seen.
 */
export abstract class EventPublisher {
  /** Connects. What is published through one publication keeps its order. */
  abstract open(): Promise<Publication>
}

/** A connection that publishes. After any error it is over: close it and open another. */
export type Publication = {
  /**
   * Whether everything that was published up to that mark is still there. False for a topic that
   * was wiped, replaced or divided anew: then resume.
   */
  readonly holds: (mark: string) => Promise<boolean>

  /**
   * Makes of a mark that does not hold the one to go on from, with what comes next in the log:
   * those who follow find in the log what is gone. Null for a topic that was divided anew: then
   * publish again from the start of the log.
   */
  readonly resume: (mark: string) => Promise<string | null>

  /**
   * Resolves when all events are safe, each stream's in order, and gives the mark of where that
   * leaves the topic. One call at a time.
   *
   * @param after the mark that the last publication gave, null at the start of the log
   */
  readonly publish: (events: readonly RecordedEvent[], after: string | null) => Promise<string>

  readonly close: () => Promise<void>
}
