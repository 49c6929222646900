import { accountDecider, accountStream } from '../domain/account/account.ts'
import type { Account } from '../domain/account/account.ts'
import type { AccountCommand } from '../domain/account/account-commands.ts'
import type { AccountEvent } from '../domain/account/account-events.ts'
import { fold } from '../domain/decider.ts'
import type { Decider } from '../domain/decider.ts'
import type { NewEvent } from '../domain/envelope.ts'
import { jobDecider, jobStream } from '../domain/job/job.ts'
import type { StorableEvent } from '../domain/pipeline/aggregate.ts'
import { NO_STREAM } from '../domain/ports/event-store.ts'
import type { EventStore } from '../domain/ports/event-store.ts'
import { SystemIds } from '../infra/system/ids.ts'
import * as account from '../test/support/account-history.ts'
import * as job from '../test/support/job-history.ts'

/** Jobs of one org between two appends to its account. */
const jobsPerAppend = 100
/** Of a paid job with one step: three on its account, four on its stream. */
export const eventsPerJob = 7

/** A stream as it grows: what commands cause, decided as weir decides it. */
class Stream<State, Command, Event extends StorableEvent> {
  readonly #decider: Decider<State, Command, Event>
  readonly #orgId: string
  readonly name: string
  #state: State
  #events: NewEvent[] = []
  #revision = NO_STREAM

  constructor(name: string, orgId: string, decider: Decider<State, Command, Event>) {
    this.name = name
    this.#orgId = orgId
    this.#decider = decider
    this.#state = decider.initial
  }

  do(command: Command): void {
    const events = this.#decider.decide(this.#state, command)
    this.#state = fold(this.#decider.evolve, this.#state, events)
    for (const { type, data } of events) {
      const id = ids.next()
      const meta = { orgId: this.#orgId, actor: 'worker', correlationId: id, causationId: id }
      const more = { traceparent: null, at: '2026-01-02T03:04:05.678Z', schema: 1 }
      this.#events.push({ id, type, data, meta: { ...meta, ...more } })
    }
  }

  async appendTo(store: EventStore): Promise<void> {
    const events = this.#events
    this.#events = []
    this.#revision = await store.append(this.name, this.#revision, events)
  }
}

const ids = new SystemIds()

/** Writes the lives of paid jobs of new orgs, until the log has about that many events more. */
export async function writeHistory(store: EventStore, events: number, orgs = 20): Promise<void> {
  const jobsPerOrg = Math.ceil(events / eventsPerJob / orgs)
  await Promise.all(Array.from({ length: orgs }, () => writeOrg(store, jobsPerOrg)))
}

async function writeOrg(store: EventStore, jobs: number): Promise<void> {
  const orgId = ids.next()
  const books = new Stream(accountStream(orgId), orgId, accountDecider)
  books.do({ ...account.openAccount(), orgId })
  books.do(account.grant(ids.next(), 10n ** 15n))
  for (let written = 0; written < jobs; written += jobsPerAppend) {
    const lives = Array.from({ length: Math.min(jobsPerAppend, jobs - written) }, () =>
      life(orgId, books),
    )
    await Promise.all([books, ...lives].map((stream) => stream.appendTo(store)))
  }
}

function life(orgId: string, books: Stream<Account, AccountCommand, AccountEvent>) {
  const jobId = ids.next()
  const stream = new Stream(jobStream(jobId), orgId, jobDecider)
  const spec = { ...job.jobSpec, jobId, orgId, webhook: null }
  books.do(account.hold(jobId, 500n))
  stream.do({ type: 'SubmitJob', spec })
  stream.do(job.start(1))
  books.do(account.use(ids.next(), jobId, 7n))
  stream.do(job.completeStep('s1'))
  stream.do(job.succeed(1))
  books.do(account.settle(jobId))
  return stream
}
