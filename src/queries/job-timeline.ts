import { accountStream } from '../../domain/account/account.ts'
import type { AccountEvent } from '../../domain/account/account-events.ts'
import { isAccountEvent } from '../../domain/catalog.ts'
import type { Recorded } from '../../domain/catalog.ts'
import { existingJob, jobStream } from '../../domain/job/job.ts'
import type { Job } from '../../domain/job/job.ts'
import type { JobEvent, JobSpec } from '../../domain/job/job-events.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { readAll } from '../../domain/ports/event-store.ts'
import type { EventStore } from '../../domain/ports/event-store.ts'
import { formatPico, storedAmount } from '../../domain/pricing/money.ts'
import { unreachable } from '../../domain/unreachable.ts'
import type { Profile } from '../profiles/profile.ts'
import { jobEvents } from './get-job.ts'
import type { Sql } from './sql.ts'

/** Something that happened to a job. */
export type TimelineEntry = {
  readonly at: string
  readonly kind: 'job' | 'money' | 'call' | 'webhook'
  readonly what: string
  /** How long it took, when it took time. */
  readonly ms: number | null
  readonly detail: string
  /** Whether a person who looks for the reason should read it first. */
  readonly isTrouble: boolean
}

export type JobTimeline = { readonly job: Job; readonly entries: readonly TimelineEntry[] }

/** How far back the account is read; beyond, its events are left out, pages. */
const accountPagesMax = 300
const pageEvents = 1_000

/**
 * Everything that is known of a job, in the order in which it happened: its own stream, what its
 * account booked for it, and its webhooks.
 *
 * @throws DomainError `not_found`
 */
export async function jobTimeline(
  { pipelines, store, sql }: Pick<Profile, 'pipelines' | 'store' | 'sql'>,
  jobId: string,
): Promise<JobTimeline> {
  const { state } = await pipelines.jobs.load(jobStream(jobId))
  const job = existingJob(state)
  const { orgId, submittedAt } = job.spec
  const events = jobEvents(await readAll(store, jobStream(jobId), 0))
  const { revision } = await pipelines.accounts.load(accountStream(orgId))
  const span = { stream: accountStream(orgId), revision, since: submittedAt }
  const booked = await accountEvents(store, span, jobId)
  const entries = [
    ...jobEntries(events),
    ...booked.flatMap(accountEntry),
    ...(await webhookEntries(sql, job.spec)),
  ]
  return { job, entries: entries.sort((a, b) => Date.parse(a.at) - Date.parse(b.at)) }
}

type Span = { readonly stream: string; readonly revision: number; readonly since: string }

/** The account's events about the job: read from the end back to when the job was submitted. */
async function accountEvents(store: EventStore, { stream, revision, since }: Span, jobId: string) {
  const found: Recorded<AccountEvent>[] = []
  const until = earliestMs(since)
  let from = revision + 1
  for (let pages = 0; pages < accountPagesMax && from > 0; pages += 1) {
    const first = Math.max(0, from - pageEvents)
    const page = (await store.read(stream, first)).filter((event) => event.revision < from)
    const about = page.filter((event) => isAccountEvent(event))
    found.unshift(...about.filter(({ data }) => 'jobId' in data && data.jobId === jobId))
    const oldest = page[0]
    if (!oldest || Date.parse(oldest.meta.at) < until) break
    from = first
  }
  return found
}

/** The hold is booked before the job is, by a clock that may be another process's. */
function earliestMs(submittedAt: string): number {
  return Date.parse(submittedAt) - 60_000
}

function jobEntries(events: readonly Recorded<JobEvent>[]): TimelineEntry[] {
  let waitingSince: string | null = null
  let runningSince: string | null = null
  return events.map((event) => {
    const { at } = event.meta
    const since = runningSince ?? waitingSince
    const ms = since === null ? null : Math.max(0, Date.parse(at) - Date.parse(since))
    const isQueuing = ['JobSubmitted', 'JobRequeued', 'JobRetryScheduled'].includes(event.type)
    if (isQueuing) {
      const { data } = event
      const runAt = 'runAt' in data ? data.runAt : null
      waitingSince = typeof runAt === 'string' && runAt > at ? runAt : at
      runningSince = null
    } else if (event.type === 'JobStarted') runningSince = at
    const isTiming = event.type !== 'JobSubmitted' && event.type !== 'JobCancelRequested'
    return { at, kind: 'job' as const, ms: isTiming ? ms : null, ...tellJobEvent(event) }
  })
}

type Told = Pick<TimelineEntry, 'what' | 'detail' | 'isTrouble'>

const told = (what: string, detail = ''): Told => ({ what, detail, isTrouble: false })
const trouble = (what: string, detail: string): Told => ({ what, detail, isTrouble: true })

function tellJobEvent(event: Recorded<JobEvent>): Told {
  switch (event.type) {
    case 'JobSubmitted': {
      const { jobType, priority, runAt, attemptsMax } = event.data
      const when = runAt === null ? '' : `, not before ${runAt}`
      return told('submitted', `${jobType}, ${priority}, ${attemptsMax} attempts at most${when}`)
    }
    case 'JobStarted': {
      const { attempt, workerId, epoch } = event.data
      return told(`attempt ${attempt} started`, `after waiting; worker ${workerId}, epoch ${epoch}`)
    }
    case 'JobStepCompleted':
      return told('step completed', `${event.data.step}, ${event.data.progress} %`)
    case 'JobRetryScheduled': {
      const { attempt, reason, error, runAt } = event.data
      const why = error === null ? reason : `${reason}, ${error.code}: ${error.message}`
      return trouble(`attempt ${attempt} ended`, `${why} Again at ${runAt}.`)
    }
    case 'JobCancelRequested':
      return told('cancel requested')
    case 'JobSucceeded': {
      const { bytes, contentType, sha256 } = event.data.result
      return told('succeeded', `${bytes} bytes of ${contentType}, sha-256 ${sha256.slice(0, 12)}…`)
    }
    case 'JobFailed':
      return trouble('failed', `${event.data.error.code}: ${event.data.error.message}`)
    case 'JobCanceled':
      return trouble('canceled', 'as the customer asked')
    case 'JobExpired':
      return trouble('expired', 'no worker had begun it before its deadline')
    case 'JobRequeued':
      return told('requeued', `for the ${event.data.requeue}. time`)
    case 'SubmissionAbandoned':
      return trouble('abandoned', 'its hold was there, the job never came')
    default:
      return unreachable(event)
  }
}

const picoPerMicro = 1_000_000n
const credits = (micro: string): string => formatPico(storedAmount(micro) * picoPerMicro)

function accountEntry({ meta, ...event }: Recorded<AccountEvent>): TimelineEntry[] {
  const entry = { at: meta.at, kind: 'money' as const, ms: null, isTrouble: false }
  if (event.type === 'CreditsHeld') {
    const detail = `${credits(event.data.amountMicro)} credits`
    return [{ ...entry, what: 'held', detail }]
  }
  if (event.type === 'HoldSettled') {
    const { chargedMicro, releasedMicro, outcome } = event.data
    const charged = credits(chargedMicro)
    const released = credits(releasedMicro)
    const detail = `${outcome}: ${charged} credits charged, ${released} released`
    return [{ ...entry, what: 'settled', detail }]
  }
  if (event.type !== 'UsageRecorded') return []
  const { provider, model, units, chargedMicro, ms, priced, calledAt } = event.data
  const amounts = Object.entries(units).map(([unit, amount]) => `${amount} ${unit}`)
  const name = model === null ? provider : `${provider} ${model}`
  const charge = `${credits(chargedMicro)} credits${priced ? '' : ', WITHOUT A PRICE'}`
  const detail = `${name}: ${amounts.join(', ')}; ${charge}`
  const call = { at: calledAt, kind: 'call' as const, what: 'provider call', ms, detail }
  return [{ ...call, isTrouble: !priced }]
}

type WebhookRow = {
  readonly eventType: string
  readonly url: string
  readonly status: string
  readonly attempt: number
  readonly lastStatus: number | null
  readonly lastError: string | null
  readonly createdAt: string
  readonly updatedAt: string
  readonly nextAttemptAt: string
}

type Sender = Pick<JobSpec, 'jobId' | 'orgId' | 'submittedAt'>

/** The webhooks of a job, found along the list of its org: they have no index by job. */
export async function webhookEntries(
  sql: Sql,
  { jobId, orgId, submittedAt }: Sender,
): Promise<TimelineEntry[]> {
  const rows = await sql<WebhookRow>(
    'timeline-webhooks',
    `SELECT event_type AS "eventType", url, status, attempt, last_status AS "lastStatus",
       last_error AS "lastError", created_at AS "createdAt", updated_at AS "updatedAt",
       next_attempt_at AS "nextAttemptAt"
     FROM webhook_outbox WHERE org_id = $1 AND created_at >= $2 AND job_id = $3
     ORDER BY created_at, sequence`,
    [orgId, isoTime(earliestMs(submittedAt)), jobId],
  )
  return rows.map((row) => {
    const answer = row.lastStatus === null ? row.lastError : `status ${row.lastStatus}`
    const times = row.attempt === 1 ? '1 attempt' : `${row.attempt} attempts`
    const next = row.status === 'pending' ? `, next at ${row.nextAttemptAt}` : ''
    const last = answer === null ? '' : `, last answer: ${answer}`
    return {
      at: row.attempt === 0 ? row.createdAt : row.updatedAt,
      kind: 'webhook' as const,
      what: `webhook ${row.status}`,
      ms: row.attempt === 0 ? null : Date.parse(row.updatedAt) - Date.parse(row.createdAt),
      detail: `${row.eventType} to ${row.url}, ${times}${last}${next}`,
      isTrouble: row.status !== 'delivered' && row.attempt > 0,
    }
  })
}
