/** An open hold that no live job stands behind. */
export type StrandedHold = {
  readonly orgId: string
  readonly holdId: string
  readonly jobId: string
}

/** Finds money that is stuck, in read models: a hint that the log then confirms or not. */
export abstract class HoldWatch {
  /** Open holds made before `before` (ISO 8601) whose job is not in the queue. */
  abstract stranded(before: string, limit: number): Promise<readonly StrandedHold[]>

  /** Orgs that have credits whose time is over, and that open holds do not reserve all of. */
  abstract orgsWithExpiredCredits(now: string, limit: number): Promise<readonly string[]>
}
