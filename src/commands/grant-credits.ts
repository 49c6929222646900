import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { GrantKind } from '../../domain/account/burn.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

export type GrantTerms = {
  readonly grantId: string
  readonly amount: bigint
  readonly kind: GrantKind
  readonly reason: string
  readonly priority: number
  readonly expiresAt: string | null
}

/** Gives credits to an org. */
export class GrantCredits extends Command<void> {
  readonly terms: GrantTerms
  readonly context: CommandContext

  constructor(terms: GrantTerms, context: CommandContext) {
    super()
    this.terms = terms
    this.context = context
  }
}

@CommandHandler(GrantCredits)
export class GrantCreditsHandler implements ICommandHandler<GrantCredits> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ terms, context }: GrantCredits): Promise<void> {
    const { pipelines, clock } = this.#runtime
    const command = { type: 'GrantCredits' as const, ...terms, at: isoTime(clock.now()) }
    await pipelines.accounts.handle(accountStream(context.orgId), command, context)
  }
}
