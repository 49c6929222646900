import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { accountStream } from '../../domain/account/account.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { Authenticator, trustedMs } from '../http/authenticator.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Ends an API key: for new requests at once, for open sockets within seconds. */
export class RevokeApiKey extends Command<void> {
  readonly keyId: string
  readonly context: CommandContext

  constructor(keyId: string, context: CommandContext) {
    super()
    this.keyId = keyId
    this.context = context
  }
}

@CommandHandler(RevokeApiKey)
export class RevokeApiKeyHandler implements ICommandHandler<RevokeApiKey> {
  readonly #runtime: Runtime
  readonly #authenticator: Authenticator

  constructor(
    @Inject(RUNTIME) runtime: Runtime,
    @Inject(Authenticator) authenticator: Authenticator,
  ) {
    this.#runtime = runtime
    this.#authenticator = authenticator
  }

  async execute({ keyId, context }: RevokeApiKey): Promise<void> {
    const { pipelines, clock, signals } = this.#runtime
    const command = { type: 'RevokeApiKey' as const, keyId, at: isoTime(clock.now()) }
    await pipelines.accounts.handle(accountStream(context.orgId), command, context)
    this.#authenticator.forget(keyId)
    await Promise.all([
      signals.publish('access_changed', { orgId: context.orgId, keyId }),
      // Every api has looked again by then, whether it heard the signal or not.
      clock.sleep(trustedMs),
    ])
  }
}
