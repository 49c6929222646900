import type { RecordedEvent } from '../envelope.ts'
import type { EventFeed } from './event-feed.ts'

/** A share of the log. Every org is in exactly one, with all its events in order. */
export type FeedPartition = {
  /** The same share has the same name in every process: checkpoints are kept by it. */
  readonly name: string
  /** For one reader. Its positions are those of the event store. */
  readonly feed: EventFeed
  /** Aborts when the share is no longer this process's. */
  readonly signal: AbortSignal
}

/** Does the work on a share; ends soon after its signal aborts. */
export type FollowPartition = (partition: FeedPartition) => Promise<void>

/**
 * Divides the log among the processes that follow it under the same name. For a moment a share may
 * be with its old and its new process: whoever writes by it moves a checkpoint conditionally.
 */
export abstract class FeedPartitions {
  /**
   * Calls `work` for each share that falls to this process, once at a time per share, until the
   * returned function is called; that resolves when all work has ended.
   */
  abstract follow(consumer: string, work: FollowPartition): Promise<() => Promise<void>>

  /** The name of the share that the event is in. */
  abstract shareOf(event: RecordedEvent): string

  /** Whether the event is in the share of that name, which may be one that the log had once. */
  abstract isIn(share: string, event: RecordedEvent): boolean
}
