import type { JsonObject } from '../json.ts'

/** Topics of the fan-out. */
export type SignalTopic =
  /** A read model moved on: `{ jobs: [{ jobId, orgId, revision }] }`. */
  | 'job_updates'
  /** `{ jobId, orgId, progress, step, message }`, at most twice a second per job. */
  | 'job_progress'
  /** Somebody asked to cancel: `{ jobIds }`. */
  | 'job_cancel'
  /** Balances moved: `{ orgIds }`. */
  | 'balance_updates'
  /** Something about access changed, caches must go: `{ orgId, keyIds }`. */
  | 'access_changed'

/**
 * Fan-out to every process, at most once, lossy by design: whoever needs certainty reads the log.
 */
export abstract class Signals {
  abstract publish(topic: SignalTopic, payload: JsonObject): Promise<void>

  /** Calls `heard` until the returned function is called. */
  abstract subscribe(
    topic: SignalTopic,
    heard: (payload: JsonObject) => void,
  ): Promise<() => Promise<void>>
}
