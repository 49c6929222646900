import { createHash } from 'node:crypto'
import type { AccountEvent } from '../domain/account/account-events.ts'
import { isAccountEvent, isJobEvent } from '../domain/catalog.ts'
import type { Recorded } from '../domain/catalog.ts'
import type { RecordedEvent } from '../domain/envelope.ts'
import type { JobEvent, JobResult } from '../domain/job/job-events.ts'
import { holdIdOf } from '../domain/job/job.ts'
import type { EventFeed } from '../domain/ports/event-feed.ts'
import type { ObjectStore } from '../domain/ports/object-store.ts'
import { readRoot } from './audit/root.ts'
import { AccountCheck } from './invariants/account-check.ts'
import { ChainCheck } from './invariants/chain-check.ts'
import type { ChainClaim } from './invariants/chain-check.ts'
import { JobCheck } from './invariants/job-check.ts'
import { ReadModelCheck } from './invariants/read-model-check.ts'
import type { CheckedReadModels } from './invariants/read-model-check.ts'
import type { Found, Violation } from './invariants/violation.ts'

/** Events per page. */
const pageEventsMax = 1_000
/** Violations of one kind that are told; the others are only counted. */
const toldMax = 20

export type InvariantOptions = {
  readonly feed: EventFeed
  /** Null: results are not read. */
  readonly objects: ObjectStore | null
  /** Null: only the log is looked at. */
  readonly readModels: CheckedReadModels | null
  /** Nothing runs and nothing waits any more: then no job may be live and no hold open. */
  readonly isDrained: boolean
}

export type InvariantReport = {
  readonly events: number
  readonly jobs: number
  readonly liveJobs: number
  readonly accounts: number
  readonly results: number
  /** Rows of read models that were held against the log. */
  readonly rows: number
  readonly violations: readonly Violation[]
  /** All of them, also those that are not told. */
  readonly count: number
}

/**
 * Reads the whole log and checks what must hold of it, by arithmetic of its own: the deciders that
 * wrote the log are not asked. On a quiet system everything must hold; while jobs run, everything
 * but what `isDrained` adds.
 *
 *   I1 one end per run · I2 one hold per job · I3 usage once, its sum is what was charged
 *   I4 no hold beyond the balance · I5 each hold settled once · I6 revisions without holes
 *   I7 webhooks are sent or parked · I8 results are whole · I10 nothing is another org's
 *   I11 one attempt commits · I13 the hash chains are those that ledger and audit root tell
 *   I14 the read models have all of it
 */
export async function checkInvariants(options: InvariantOptions): Promise<InvariantReport> {
  const { readModels, feed } = options
  if (!readModels) return checkAt(options, null)
  const compare = (a: string, b: string): number => feed.compare(a, b)
  return readModels.store.snapshot((live) =>
    checkAt(options, (found) => new ReadModelCheck(readModels, live, compare, found)),
  )
}

async function checkAt(
  { feed, objects, isDrained }: InvariantOptions,
  open: ((found: Found) => ReadModelCheck) | null,
): Promise<InvariantReport> {
  const collected = collect()
  const { found } = collected
  const rows = open?.(found)
  const claims = [...(await rootClaims(objects, found)), ...((await rows?.begin()) ?? [])]
  const check = new LogCheck(found)
  const chains = new ChainCheck(found, claims)
  const events = await readLog(feed, (event) => {
    check.see(event)
    chains.see(event)
    rows?.see(event)
  })
  check.end(isDrained)
  chains.end()
  await rows?.end(isDrained)
  const results = objects ? await checkResults(objects, check.results(), found) : 0
  return { ...check.counts(), events, results, rows: rows?.rows ?? 0, ...collected.report() }
}

/** What the newest audit root says. */
async function rootClaims(
  objects: ObjectStore | null,
  found: Found,
): Promise<readonly ChainClaim[]> {
  if (!objects) return []
  try {
    const { day = '', accounts = [] } = (await readRoot(objects))?.root ?? {}
    return accounts.map((account) => ({ ...account, by: `the audit root of ${day}` }))
  } catch (error) {
    found('I13', 'audit root', error instanceof Error ? error.message : String(error))
    return []
  }
}

/** Keeps the first violations of each invariant. */
function collect() {
  const violations: Violation[] = []
  const counts = new Map<string, number>()
  const found: Found = (invariant, subject, detail) => {
    const count = (counts.get(invariant) ?? 0) + 1
    counts.set(invariant, count)
    if (count <= toldMax) violations.push({ invariant, subject, detail })
  }
  const report = () => {
    let count = 0
    for (const each of counts.values()) count += each
    return { violations, count }
  }
  return { found, report }
}

async function readLog(feed: EventFeed, see: (event: RecordedEvent) => void): Promise<number> {
  let count = 0
  for (let position = feed.start; ;) {
    const page = await feed.readPage(position, pageEventsMax)
    for (const event of page.events) see(event)
    count += page.events.length
    if (page.position === position) return count
    position = page.position
  }
}

/** Follows every stream of the log at once. */
class LogCheck {
  readonly #found: Found
  readonly #revisions = new Map<string, number>()
  readonly #jobs = new Map<string, JobCheck>()
  readonly #accounts = new Map<string, AccountCheck>()

  constructor(found: Found) {
    this.#found = found
  }

  see(event: RecordedEvent): void {
    const { stream, revision } = event
    const expected = (this.#revisions.get(stream) ?? -1) + 1
    this.#revisions.set(stream, revision)
    if (revision !== expected) {
      this.#found('I6', stream, `revision ${revision} comes where ${expected} is due`)
    }
    if (isJobEvent(event)) this.#seeJob(event)
    else if (isAccountEvent(event)) this.#seeAccount(event)
  }

  #seeJob(event: Recorded<JobEvent>): void {
    const jobId = event.stream.slice('job-'.length)
    const job = this.#jobs.get(jobId) ?? new JobCheck(event.stream, this.#found)
    this.#jobs.set(jobId, job)
    job.see(event)
  }

  #seeAccount(event: Recorded<AccountEvent>): void {
    const account = this.#accounts.get(event.stream) ?? new AccountCheck(event.stream, this.#found)
    this.#accounts.set(event.stream, account)
    account.see(event)
  }

  /** What only the whole log tells. */
  end(isDrained: boolean): void {
    for (const [jobId, job] of this.#jobs) {
      if (job.orgId === null) continue
      const account = this.#accounts.get(`account-${job.orgId}`)
      for (const run of job.runs) {
        const holdId = holdIdOf(jobId, run)
        const hold = account?.holds.get(holdId)
        const isOver = run < job.run || !job.isLive
        if (!hold) this.#found('I2', `job-${jobId}`, `hold ${holdId} is not in the account`)
        else if (isDrained && isOver && !hold.isSettled) {
          this.#found('I5', `job-${jobId}`, `hold ${holdId} is open, and its job is over`)
        } else if (!isOver && hold.isSettled) {
          this.#found('I5', `job-${jobId}`, `hold ${holdId} is settled, and its job is not over`)
        }
      }
      if (isDrained && job.isLive) this.#found('I1', `job-${jobId}`, 'the job never ended')
    }
    if (!isDrained) return
    for (const account of this.#accounts.values()) account.endDrained()
  }

  counts() {
    const liveJobs = [...this.#jobs.values()].filter((job) => job.isLive).length
    return { jobs: this.#jobs.size, liveJobs, accounts: this.#accounts.size }
  }

  results(): readonly JobResult[] {
    return [...this.#jobs.values()].flatMap(({ result }) => result ?? [])
  }
}

/** I8: every result is there, whole, with its sha-256. Returns how many were read. */
async function checkResults(objects: ObjectStore, results: readonly JobResult[], found: Found) {
  for (const { key, bytes, sha256 } of results) {
    const hash = createHash('sha256')
    let read = 0
    try {
      const { body } = await objects.get(key)
      for await (const chunk of body) {
        hash.update(chunk)
        read += chunk.byteLength
      }
    } catch (error) {
      found('I8', key, error instanceof Error ? error.message : String(error))
      continue
    }
    if (read !== bytes) found('I8', key, `it has ${read} bytes, the log says ${bytes}`)
    else if (hash.digest('hex') !== sha256) found('I8', key, 'its sha-256 is another one')
  }
  return results.length
}
