import type { Log } from '../log.ts'
import type { Profile } from '../profiles/profile.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { StartSpan } from '../telemetry/telemetry.ts'

/** What a role is started with. */
export type RoleParts = {
  readonly profile: Profile
  readonly log: Log
  readonly metrics: Metrics
  /** Null unless traces are collected. */
  readonly startSpan: StartSpan | null
  /** Whether api, worker and projector were all up when last heard. */
  readonly allRolesReady: () => boolean
}

/** A role that serves. */
export type RunningRole = {
  /** Finishes what is under way; when the signal aborts, gives it back. */
  readonly stop: (signal: AbortSignal) => Promise<void>
}
