import { accountStream } from '../../domain/account/account.ts'
import { DomainError } from '../../domain/errors.ts'
import {
  deadlineAfter,
  existingJob,
  holdIdOf,
  isFinished,
  jobStream,
} from '../../domain/job/job.ts'
import type { JobSpec } from '../../domain/job/job-events.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { priceBookStream } from '../../domain/pricing/price-book.ts'
import { simulatedType } from './job-types.ts'
import type { Plan } from './job-types.ts'
import { ConnectionLost } from './process.ts'
import type { Api, World } from './world.ts'

/** What one call costs, micro-credits. */
export const callMicro = 10_000n
/** As long as the api takes a first request for alive. */
const lockMs = 60_000
const holdMs = 86_400_000
/** Then a customer gives up, ms. */
const patienceMs = 100_000

/** One request of a customer, repeated until it is answered. */
export type Wanted = {
  readonly key: string
  readonly orgId: string
  readonly plan: Plan
  readonly webhookUrl: string | null
  readonly deadlineSeconds: number | null
}

/** Customers: they repeat what was not answered, and sometimes what was. */
export class Clients {
  readonly #world: World
  /** Job ids of the 202s, by key. */
  readonly accepted = new Map<string, string>()
  /** Requests that are not answered yet. */
  open = 0

  constructor(world: World) {
    this.#world = world
  }

  async prepare(orgs: ReadonlyMap<string, bigint>): Promise<void> {
    const line = { provider: 'sandbox', model: null, unit: 'requests' }
    const prices = [{ ...line, costUsd: '0.001', priceCredits: '0.01' }]
    await this.#repeat(async (api) => {
      const at = this.#now()
      const book = { type: 'PublishPrice' as const, version: 1, effectiveAt: at, prices }
      const context = this.#context('weir', 'prices')
      await api.pipelines.priceBook.handle(priceBookStream, { ...book, reason: '' }, context)
      for (const [orgId, amount] of orgs) {
        const stream = accountStream(orgId)
        const opened = { type: 'OpenAccount' as const, orgId, name: orgId, overdraft: 0n, at }
        await api.pipelines.accounts.handle(stream, opened, this.#context(orgId, 'open'))
        const terms = { kind: 'purchase' as const, priority: 100, expiresAt: null, reason: '' }
        const grantId = this.#world.ids.derive('grant', orgId)
        const grant = { type: 'GrantCredits' as const, grantId, amount, at, ...terms }
        await api.pipelines.accounts.handle(stream, grant, this.#context(orgId, 'grant'))
      }
    })
  }

  /** Sends the request until it is accepted or refused. */
  async submit(wanted: Wanted): Promise<void> {
    const { key } = wanted
    try {
      const jobId = await this.#repeat((api) => this.#once(api, wanted))
      const before = this.accepted.get(key)
      if (before !== undefined && before !== jobId) {
        this.#world.found('I2', key, `was answered with ${before} and with ${jobId}`)
      }
      this.accepted.set(key, jobId)
    } catch (error) {
      onlyRefusals(error)
    }
  }

  async cancel(jobId: string): Promise<void> {
    await this.#repeat(async ({ pipelines }) => {
      const command = { type: 'RequestCancel' as const, at: this.#now() }
      const orgId = await this.#orgOf(pipelines, jobId)
      const context = this.#context(orgId, this.#world.ids.next())
      await pipelines.jobs.handle(jobStream(jobId), command, context)
    }).catch(onlyRefusals)
  }

  /** Queues a job again that is over: a new hold, then the job. */
  async retry(jobId: string): Promise<void> {
    await this.#repeat(async ({ pipelines }) => {
      const { state } = await pipelines.jobs.load(jobStream(jobId))
      const job = existingJob(state)
      const { orgId, estimateMicro } = job.spec
      if (!isFinished(job.status) || job.status === 'succeeded') {
        throw new DomainError('conflict', 'It cannot be retried.')
      }
      const requeue = job.requeues + 1
      const heldAt = this.#now()
      const hold = { holdId: holdIdOf(jobId, requeue), amount: BigInt(estimateMicro) }
      await this.#hold(pipelines, { ...hold, jobId, orgId, at: heldAt })
      const at = this.#now()
      const command = { type: 'RequeueJob' as const, requeue, estimateMicro, heldAt, at }
      const context = this.#context(orgId, this.#world.ids.next())
      await pipelines.jobs.handle(jobStream(jobId), command, context)
    }).catch(onlyRefusals)
  }

  /** As the api answers a request with an Idempotency-Key: see src/http/answer.interceptor.ts. */
  async #once({ idempotency, pipelines }: Api, wanted: Wanted): Promise<string> {
    const { ids, scheduler } = this.#world
    const { key: scope } = wanted
    const request = { scope, bodySha256: scope, subjectId: ids.next(), lockMs }
    const begun = await idempotency.begin({ ...request, now: scheduler.now() })
    if (begun.kind === 'answered') return begun.answer.body
    if (begun.kind !== 'go') throw new DomainError('unavailable', 'It is still in work.')
    try {
      const jobId = await this.#admit(pipelines, this.#spec(begun.subjectId, wanted))
      await idempotency.complete(scope, { status: 202, body: jobId, location: null })
      return jobId
    } catch (error) {
      if (error instanceof DomainError && error.code !== 'unavailable') {
        await idempotency.abandon(scope, begun.lockedUntil)
      }
      throw error
    }
  }

  async #admit(pipelines: Api['pipelines'], spec: JobSpec): Promise<string> {
    const { jobId, orgId, submittedAt: at } = spec
    const amount = BigInt(spec.estimateMicro)
    await this.#hold(pipelines, { holdId: jobId, jobId, orgId, amount, at })
    const context = {
      ...this.#context(orgId, ''),
      commandId: this.#world.ids.derive('submit', jobId),
    }
    const command = { type: 'SubmitJob' as const, spec }
    const { state } = await pipelines.jobs.handle(jobStream(jobId), command, context)
    return existingJob(state).spec.jobId
  }

  async #hold(
    { accounts }: Api['pipelines'],
    hold: {
      readonly holdId: string
      readonly jobId: string
      readonly orgId: string
      readonly amount: bigint
      readonly at: string
    },
  ): Promise<void> {
    const { orgId, ...held } = hold
    const expiresAt = isoTime(Date.parse(hold.at) + holdMs)
    const commandId = this.#world.ids.derive('hold', hold.holdId)
    const context = { ...this.#context(orgId, ''), commandId }
    const command = { type: 'HoldCredits' as const, ...held, expiresAt }
    await accounts.handle(accountStream(orgId), command, context)
  }

  #spec(jobId: string, { key, orgId, plan, webhookUrl, deadlineSeconds }: Wanted): JobSpec {
    const submittedAt = this.#now()
    return {
      ...{ jobId, orgId, userId: null, jobType: simulatedType, input: plan, inputKey: null },
      ...{ priority: 'normal', metadata: { key }, runAt: null, deadlineSeconds },
      webhook: webhookUrl === null ? null : { url: webhookUrl, events: null },
      deadlineAt: deadlineAfter(submittedAt, deadlineSeconds),
      ...{ attemptsMax: 5, estimateMicro: (callMicro * BigInt(plan.steps)).toString() },
      ...{ priceVersion: 1, traceparent: null, submittedAt },
    }
  }

  async #orgOf({ jobs }: Api['pipelines'], jobId: string): Promise<string> {
    return existingJob((await jobs.load(jobStream(jobId))).state).spec.orgId
  }

  /** Asks one api after the other until one answers. @throws DomainError when it refuses */
  async #repeat<T>(run: (api: Api) => Promise<T>): Promise<T> {
    const { apis, random, scheduler } = this.#world
    const untilMs = scheduler.now() + patienceMs
    this.open += 1
    try {
      for (;;) {
        const alive = [...apis.values()]
        try {
          if (alive.length > 0) {
            const api = random.pick(alive)
            return await api.process.request(() => run(api))
          }
        } catch (error) {
          const isRefusal = error instanceof DomainError && error.code !== 'unavailable'
          if (isRefusal) throw error
          if (!(error instanceof DomainError || isOfLine(error))) throw error
        }
        if (scheduler.now() > untilMs) throw new DomainError('not_found', 'No answer came.')
        await scheduler.sleep(random.between(100, 1_000))
      }
    } finally {
      this.open -= 1
    }
  }

  #context(orgId: string, what: string) {
    const commandId = this.#world.ids.derive(orgId, what)
    return { commandId, orgId, actor: 'key:k1', correlationId: commandId, traceparent: null }
  }

  #now(): string {
    return isoTime(this.#world.scheduler.now())
  }
}

function isOfLine(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof Error && error.name === 'LineBroken')
}

function onlyRefusals(error: unknown): void {
  if (!(error instanceof DomainError)) throw error
}
