import { accountStream } from '../domain/account/account.ts'
import type { Pipelines } from '../domain/aggregates.ts'
import { holdIdOf } from '../domain/job/job.ts'
import type { Job } from '../domain/job/job.ts'
import { isoTime } from '../domain/ports/clock.ts'
import type { Clock } from '../domain/ports/clock.ts'
import { priceBookStream, priceCall, versionNumbered } from '../domain/pricing/price-book.ts'
import type { PriceVersion } from '../domain/pricing/price-book.ts'
import type { Units } from './handlers/handler.ts'

/** A call lasts no longer, ms: 24 days, which is what the books have room for. */
const callMsMax = 2 ** 31 - 1

/** One provider call that has delivered. */
export type MeteredCall = {
  readonly usageId: string
  readonly provider: string
  readonly model: string | null
  readonly units: Units
  readonly startedAt: number
  /** By the machine's clock, which may have been set meanwhile. */
  readonly ms: number
}

export type UsageMeterPorts = {
  readonly pipelines: Pick<Pipelines, 'accounts' | 'priceBook'>
  readonly clock: Clock
  /** Told when a unit had no price. */
  readonly unpriced: (call: MeteredCall) => void
}

/** Turns provider calls into usage on the account: one record per call, whatever is repeated. */
export class UsageMeter {
  readonly #ports: UsageMeterPorts
  readonly #versions = new Map<number, PriceVersion>()

  constructor(ports: UsageMeterPorts) {
    this.#ports = ports
  }

  /** Resolves when the usage is durable. Recording the same usage id again does nothing. */
  async record(job: Job, call: MeteredCall): Promise<void> {
    const { pipelines, clock, unpriced } = this.#ports
    const { jobId, orgId, userId, jobType, priceVersion, traceparent } = job.spec
    const { usageId, provider, model, units, startedAt } = call
    const ms = Math.min(Math.max(call.ms, 0), callMsMax)
    const price = priceCall(await this.#version(priceVersion), call)
    if (!price.complete) unpriced(call)
    const usage = {
      ...{ usageId, jobId, jobType, userId, provider, model, units, ms, priceVersion },
      holdId: holdIdOf(jobId, job.requeues),
      costNanoUsd: price.costNanoUsd.toString(),
      costRemainderPico: price.costRemainderPico.toString(),
      chargedMicro: price.chargedMicro.toString(),
      priceRemainderPico: price.priceRemainderPico.toString(),
      priced: price.complete,
      calledAt: isoTime(startedAt),
    }
    const commandId = usageId
    const context = { commandId, orgId, actor: 'worker', correlationId: jobId, traceparent }
    const command = { type: 'RecordUsage' as const, usage, at: isoTime(clock.now()) }
    await pipelines.accounts.handle(accountStream(orgId), command, context)
  }

  async #version(number: number): Promise<PriceVersion | null> {
    const known = this.#versions.get(number)
    if (known) return known
    const { state } = await this.#ports.pipelines.priceBook.load(priceBookStream)
    const version = versionNumbered(state, number)
    // A version never changes once it is published.
    if (version) this.#versions.set(number, version)
    return version
  }
}
