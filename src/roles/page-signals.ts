import type { Recorded } from '../../domain/catalog.ts'
import type { Profile } from '../profiles/profile.ts'

/**
 * Tells the other processes what a committed page holds. All of it may be lost; everybody who
 * listens also looks by themselves.
 */

/** Of a page of the queue: work for workers, and cancellations. */
export async function tellWorkers(
  { announcer, signals }: Pick<Profile, 'announcer' | 'signals'>,
  events: readonly Recorded[],
): Promise<void> {
  const jobTypes = new Set<string>()
  const jobIds: string[] = []
  for (const event of events) {
    if (event.type === 'JobSubmitted') jobTypes.add(event.data.jobType)
    if (event.type === 'JobRequeued') jobTypes.add(event.data.job.jobType)
    if (event.type === 'JobCancelRequested') jobIds.push(jobIdOf(event))
  }
  await Promise.all([
    jobTypes.size > 0 ? announcer.announce([...jobTypes]) : null,
    jobIds.length > 0 ? signals.publish('job_cancel', { jobIds }) : null,
  ])
}

/** Of a page of read models: news for sockets. */
export async function tellSockets(
  { signals }: Pick<Profile, 'signals'>,
  events: readonly Recorded[],
): Promise<void> {
  const jobs = new Map<string, { jobId: string; orgId: string; from: number; revision: number }>()
  const orgIds = new Set<string>()
  for (const event of events) {
    const { stream, revision, meta } = event
    if (stream.startsWith('account-')) orgIds.add(meta.orgId)
    if (!stream.startsWith('job-')) continue
    const jobId = jobIdOf(event)
    const from = jobs.get(jobId)?.from ?? revision
    jobs.set(jobId, { jobId, orgId: meta.orgId, from, revision })
  }
  await Promise.all([
    jobs.size > 0 ? signals.publish('job_updates', { jobs: [...jobs.values()] }) : null,
    orgIds.size > 0 ? signals.publish('balance_updates', { orgIds: [...orgIds] }) : null,
  ])
}

const jobIdOf = ({ stream }: Recorded): string => stream.slice('job-'.length)
