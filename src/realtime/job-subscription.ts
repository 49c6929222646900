import { type jobTransitions } from '../../domain/job/job-view.ts'
import type { JobEventView } from '../../domain/job/job-view.ts'
import type { Tenant } from '../http/authenticator.ts'
import { jobCredits } from '../queries/get-credits.ts'
import { getJob, jobHistory, showJob, showTransitions } from '../queries/get-job.ts'
import type { Runtime } from '../runtime.ts'
import type { JobChannels, JobListener } from './job-channels.ts'

/** Farther behind than this, a client starts from the current state. */
const missedMax = 1_000

export type SubscriptionPorts = {
  readonly runtime: Runtime
  readonly channels: JobChannels
  readonly principal: Tenant
}

/**
 * Subscribes to a job: the answer holds what was missed, and from its last revision on the
 * listener is told, so that every revision comes once, across the answer and the updates.
 *
 * @param after the last revision that the client knows; null when it wants no past
 * @throws DomainError `not_found`
 */
export async function openJobSubscription(
  { runtime, channels, principal }: SubscriptionPorts,
  jobId: string,
  after: number | null,
  listener: JobListener,
) {
  await getJob(runtime, principal, jobId)
  const { state, transitions } = await jobHistory(runtime, jobId)
  const revision = transitions.at(-1)?.revision ?? -1
  const recovered = after !== null && after <= revision && revision - after <= missedMax
  const missed = recovered ? transitions.filter((event) => event.revision > after) : []
  const events: readonly JobEventView[] = showTransitions(
    missed,
    (await jobCredits(runtime.sql, [jobId])).get(jobId),
    runtime.config.publicUrl,
  )
  const current = await currentJob(runtime, state, revision)
  const leave = channels.watch(jobId, revision, listener)
  return {
    // Without `after` there was nothing to recover, and nothing was lost.
    ack: { ok: true, recovered: after === null || recovered, job: current, events },
    leave,
  }
}

async function currentJob(
  runtime: Runtime,
  state: ReturnType<typeof jobTransitions>['state'],
  revision: number,
) {
  if (state.status === 'absent' || state.status === 'abandoned') return null
  return showJob(runtime, { state, revision })
}
