import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { Account } from '../../domain/account/account.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Opens the account of a new org. */
export class CreateOrg extends Command<Account> {
  readonly name: string
  readonly overdraft: bigint
  readonly context: CommandContext

  constructor(name: string, overdraft: bigint, context: CommandContext) {
    super()
    this.name = name
    this.overdraft = overdraft
    this.context = context
  }
}

@CommandHandler(CreateOrg)
export class CreateOrgHandler implements ICommandHandler<CreateOrg> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ name, overdraft, context }: CreateOrg): Promise<Account> {
    const { pipelines, clock } = this.#runtime
    const { orgId } = context
    const at = isoTime(clock.now())
    const command = { type: 'OpenAccount' as const, orgId, name, overdraft, at }
    return (await pipelines.accounts.handle(accountStream(orgId), command, context)).state
  }
}
