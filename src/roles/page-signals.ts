import type { Recorded } from '../../domain/catalog.ts'
import type { Profile } from '../profiles/profile.ts'

type Ports = Pick<Profile, 'announcer' | 'signals'>

/**
 * Tells the other processes what a committed page holds: work for workers, news for sockets,
 * cancellations. All of it may be lost; everybody who listens also looks by themselves.
 */
export async function tellPage(
  { announcer, signals }: Ports,
  events: readonly Recorded[],
): Promise<void> {
  const jobTypes = new Set<string>()
  const jobs = new Map<string, { jobId: string; orgId: string; from: number; revision: number }>()
  const canceled: string[] = []
  const orgIds = new Set<string>()
  for (const event of events) {
    const { stream, revision, meta } = event
    if (stream.startsWith('account-')) orgIds.add(meta.orgId)
    if (!stream.startsWith('job-')) continue
    const jobId = stream.slice('job-'.length)
    const from = jobs.get(jobId)?.from ?? revision
    jobs.set(jobId, { jobId, orgId: meta.orgId, from, revision })
    if (event.type === 'JobSubmitted') jobTypes.add(event.data.jobType)
    if (event.type === 'JobRequeued') jobTypes.add(event.data.job.jobType)
    if (event.type === 'JobCancelRequested') canceled.push(jobId)
  }
  await Promise.all([
    jobTypes.size > 0 ? announcer.announce([...jobTypes]) : null,
    jobs.size > 0 ? signals.publish('job_updates', { jobs: [...jobs.values()] }) : null,
    canceled.length > 0 ? signals.publish('job_cancel', { jobIds: canceled }) : null,
    orgIds.size > 0 ? signals.publish('balance_updates', { orgIds: [...orgIds] }) : null,
  ])
}
