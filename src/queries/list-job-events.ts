import type { JobEventView } from '../../domain/job/job-view.ts'
import { invalid } from '../../domain/errors.ts'
import { page, pageRequest, textParam } from '../http/paging.ts'
import type { Page, Query } from '../http/paging.ts'
import type { Runtime } from '../runtime.ts'
import { jobCredits } from './get-credits.ts'
import { jobHistory, showTransitions } from './get-job.ts'

/** A revision from a query or header; null when it is not given. */
export function revisionParam(text: string | null, pointer: string): number | null {
  if (text === null) return null
  const revision = /^(-1|\d{1,9})$/.test(text) ? Number(text) : null
  if (revision === null) {
    throw invalid('invalid_request', [{ pointer, detail: 'must be a revision: -1, 0, 1, …' }])
  }
  return revision
}

/** The transitions of a job beyond a revision, oldest first. */
export async function listJobEvents(
  runtime: Runtime,
  jobId: string,
  query: Query,
): Promise<Page<JobEventView>> {
  const after = revisionParam(textParam(query, 'after'), '?after') ?? -1
  const request = pageRequest(query, ['events', jobId, String(after)], ['number'])
  const from = request.after?.[0] === undefined ? after : Number(request.after[0])
  const { transitions } = await jobHistory(runtime, jobId)
  const beyond = transitions.filter(({ revision }) => revision > from).slice(0, request.limit + 1)
  const credits = (await jobCredits(runtime.sql, [jobId])).get(jobId)
  const shown = showTransitions(beyond, credits, runtime.config.publicUrl)
  return page(
    shown,
    request,
    ({ revision }) => [String(revision)],
    (item) => item,
  )
}
