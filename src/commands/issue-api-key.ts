import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { Scope } from '../../domain/account/account-events.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { derivedBytes, newApiKey } from '../http/credentials.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

export type IssuedApiKey = { readonly keyId: string; readonly apiKey: string }

/**
 * Makes an API key. The key follows from the secret key and the id of the command, so a repetition
 * after a crash shows the same one.
 */
export class IssueApiKey extends Command<IssuedApiKey> {
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly context: CommandContext

  constructor(name: string, scopes: readonly Scope[], context: CommandContext) {
    super()
    this.name = name
    this.scopes = scopes
    this.context = context
  }
}

@CommandHandler(IssueApiKey)
export class IssueApiKeyHandler implements ICommandHandler<IssueApiKey> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ name, scopes, context }: IssueApiKey): Promise<IssuedApiKey> {
    const { pipelines, clock, secretKey } = this.#runtime
    const { orgId, commandId } = context
    const key = newApiKey(orgId, derivedBytes(secretKey, `api-key:${commandId}`))
    const { keyId, apiKey, secretSha256 } = key
    const issuedAt = isoTime(clock.now())
    const command = { type: 'IssueApiKey' as const, keyId, name, scopes, secretSha256, issuedAt }
    await pipelines.accounts.handle(accountStream(orgId), command, context)
    return { keyId, apiKey }
  }
}
