import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

export type Adjustment = {
  readonly adjustmentId: string
  /** Positive gives, negative takes; micro-credits. */
  readonly amount: bigint
  readonly reason: string
}

/** Corrects a balance by hand, in either direction. */
export class AdjustCredits extends Command<void> {
  readonly adjustment: Adjustment
  readonly context: CommandContext

  constructor(adjustment: Adjustment, context: CommandContext) {
    super()
    this.adjustment = adjustment
    this.context = context
  }
}

@CommandHandler(AdjustCredits)
export class AdjustCreditsHandler implements ICommandHandler<AdjustCredits> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ adjustment, context }: AdjustCredits): Promise<void> {
    const { pipelines, clock } = this.#runtime
    const command = { type: 'AdjustCredits' as const, ...adjustment, at: isoTime(clock.now()) }
    await pipelines.accounts.handle(accountStream(context.orgId), command, context)
  }
}
