import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { isPriceBookEvent } from '../../domain/catalog.ts'
import { DomainError } from '../../domain/errors.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { priceBookStream, versionNumbered } from '../../domain/pricing/price-book.ts'
import type { PriceLine, PriceVersion } from '../../domain/pricing/price-book.ts'
import { writtenBy } from './written-by.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Publishes a version of the price book. Jobs that were admitted before keep theirs. */
export class PublishPrice extends Command<PriceVersion> {
  readonly prices: readonly PriceLine[]
  /** Null for now, and so is a time that is over: what was admitted keeps its price. */
  readonly effectiveAt: string | null
  readonly reason: string
  readonly context: CommandContext

  constructor(
    prices: readonly PriceLine[],
    effectiveAt: string | null,
    reason: string,
    context: CommandContext,
  ) {
    super()
    this.prices = prices
    this.effectiveAt = effectiveAt
    this.reason = reason
    this.context = context
  }
}

@CommandHandler(PublishPrice)
export class PublishPriceHandler implements ICommandHandler<PublishPrice> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute(publish: PublishPrice): Promise<PriceVersion> {
    const { pipelines, clock } = this.#runtime
    const { prices, reason, context } = publish
    const now = isoTime(clock.now())
    const { effectiveAt: asked } = publish
    const effectiveAt = asked !== null && asked > now ? asked : now
    const earlier = await this.#madeBy(context)
    if (earlier) return earlier
    const version = (await pipelines.priceBook.load(priceBookStream)).state.versions.length + 1
    const command = { type: 'PublishPrice' as const, version, effectiveAt, prices, reason }
    const { state, events } = await pipelines.priceBook.handle(priceBookStream, command, context)
    const published = state.versions[version - 1]
    if (events.length === 0 || !published) {
      throw new DomainError('conflict', 'Somebody else has just published prices; look again.')
    }
    return published
  }

  /** What the command has published already, when it is repeated after its answer was lost. */
  async #madeBy({ commandId }: CommandContext): Promise<PriceVersion | null> {
    const made = await writtenBy(this.#runtime, priceBookStream, commandId)
    if (!made || !isPriceBookEvent(made)) return null
    const { state } = await this.#runtime.pipelines.priceBook.load(priceBookStream)
    return versionNumbered(state, made.data.version)
  }
}
