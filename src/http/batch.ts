import type { JobView } from '../../domain/job/job-view.ts'
import type { Ids } from '../../domain/ports/ids.ts'
import { errorTable } from '../../domain/errors.ts'
import type { Log } from '../log.ts'
import type { ApiMetrics } from '../metrics/api.ts'
import { loggedRefusalOf, problemBody } from './problem.ts'

/**
 * The id of one job of a batch: it follows from the batch, so that a repetition makes the same
 * jobs, and carries the batch's time like every other job id (UUIDv7).
 */
export function batchJobId(ids: Ids, subjectId: string, index: number): string {
  const derived = ids.derive('batch-job', subjectId, String(index))
  return `${subjectId.slice(0, 14)}7${derived.slice(15)}`
}

/** What became of one job of a batch. */
export type BatchItem =
  | { readonly status: 202; readonly job: JobView }
  | { readonly status: number; readonly error: ReturnType<typeof problemBody> }

export type BatchContext = {
  readonly log: Log
  readonly metrics: Pick<ApiMetrics, 'refused'>
  readonly requestId: string
}

/** One job of a batch: accepted, or refused without touching the others. */
export async function batchItem(
  about: BatchContext,
  submit: () => Promise<JobView>,
): Promise<BatchItem> {
  try {
    return { status: 202, job: await submit() }
  } catch (error) {
    const refusal = loggedRefusalOf(error, about)
    about.metrics.refused(refusal.code)
    const { status } = errorTable[refusal.code]
    return { status, error: problemBody(refusal, about.requestId) }
  }
}

/**
 * Whether nobody knows what became of the job: a repetition of the batch finds out. One that was
 * given up is not made any more under this id.
 */
export function isUnknown(item: BatchItem): boolean {
  return 'error' in item && item.status >= 500 && !('abandoned' in item.error)
}
