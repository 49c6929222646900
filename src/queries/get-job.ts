import { isJobEvent } from '../../domain/catalog.ts'
import type { Recorded } from '../../domain/catalog.ts'
import type { RecordedEvent } from '../../domain/envelope.ts'
import { DomainError } from '../../domain/errors.ts'
import { existingJob, jobStream } from '../../domain/job/job.ts'
import type { Job } from '../../domain/job/job.ts'
import { estimatedCredits, jobTransitions, jobView } from '../../domain/job/job-view.ts'
import type { JobCredits, JobEventView, JobView } from '../../domain/job/job-view.ts'
import type { JobEvent } from '../../domain/job/job-events.ts'
import type { Loaded } from '../../domain/pipeline/command-pipeline.ts'
import { readAll } from '../../domain/ports/event-store.ts'
import type { Tenant } from '../http/authenticator.ts'
import type { Runtime } from '../runtime.ts'
import { jobCredits } from './get-credits.ts'
import type { KnownCredits } from './get-credits.ts'

const jobIdPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function isJobId(text: string): boolean {
  return jobIdPattern.test(text)
}

/** Whether the caller may see a job at all; another org's job is not there. */
export function maySee(principal: Tenant, job: Job): boolean {
  const { orgId, userId, jobId } = job.spec
  if (orgId !== principal.orgId) return false
  if (principal.kind === 'key' || principal.scopes.includes('jobs:read')) return true
  const mine = principal.userId !== null && principal.userId === userId
  return mine || (principal.channels?.includes(`job:${jobId}`) ?? false)
}

/** The job as it is now, from its own stream. @throws DomainError `not_found` */
export async function getJob(
  { pipelines }: Pick<Runtime, 'pipelines'>,
  principal: Tenant,
  jobId: string,
): Promise<Loaded<Job>> {
  if (!isJobId(jobId)) throw noSuchJob()
  const { state, revision } = await pipelines.jobs.load(jobStream(jobId))
  const job = existingJob(state)
  if (!maySee(principal, job)) throw noSuchJob()
  return { state: job, revision }
}

/** The job object of the contract. */
export async function showJob(
  { sql, config }: Pick<Runtime, 'sql' | 'config'>,
  { state, revision }: Loaded<Job>,
): Promise<JobView> {
  const credits = (await jobCredits(sql, [state.spec.jobId])).get(state.spec.jobId)
  return jobView(state, revision, config.publicUrl, creditsOf(state, credits))
}

/**
 * The books as the balance knows them; while it has not seen the job's last hold, what the job
 * itself knows of it.
 */
export function creditsOf(job: Job, known: KnownCredits | undefined): JobCredits {
  const charged = known?.charged ?? '0'
  if (known && known.holds > job.requeues) return { held: known.held, charged }
  return { held: estimatedCredits(job).held, charged }
}

/** Every transition of a job, oldest first. */
export async function jobHistory(
  { store }: Pick<Runtime, 'store'>,
  jobId: string,
): Promise<ReturnType<typeof jobTransitions>> {
  const events = await readAll(store, jobStream(jobId), 0)
  return jobTransitions({ status: 'absent' }, jobEvents(events))
}

/** The events of a job stream, typed. */
export function jobEvents(events: readonly RecordedEvent[]): readonly Recorded<JobEvent>[] {
  return events.filter((event) => isJobEvent(event))
}

/** Transitions as sockets, SSE and lists tell them. */
export function showTransitions(
  transitions: ReturnType<typeof jobTransitions>['transitions'],
  credits: KnownCredits | undefined,
  baseUrl: string,
): readonly JobEventView[] {
  return transitions.map(({ revision, type, at, job }) => ({
    ...{ revision, type, at },
    job: jobView(job, revision, baseUrl, creditsOf(job, credits)),
  }))
}

function noSuchJob(): DomainError {
  return new DomainError('not_found', 'There is no such job.')
}
