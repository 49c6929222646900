import { Inject } from '@nestjs/common'
import { Command, CommandHandler } from '@nestjs/cqrs'
import type { ICommandHandler } from '@nestjs/cqrs'
import { operatorsStream } from '../../domain/operators/operators.ts'
import type { OperatorSession } from '../../domain/operators/operators.ts'
import type { CommandContext } from '../../domain/pipeline/command-pipeline.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'

/** Ends a session everywhere, not only in the browser that has it. */
export class SignOut extends Command<void> {
  readonly session: Pick<OperatorSession, 'operatorId' | 'sessionId'>
  readonly context: CommandContext

  constructor(session: SignOut['session'], context: CommandContext) {
    super()
    this.session = session
    this.context = context
  }
}

@CommandHandler(SignOut)
export class SignOutHandler implements ICommandHandler<SignOut> {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  async execute({ session, context }: SignOut): Promise<void> {
    const { pipelines, clock } = this.#runtime
    const { operatorId, sessionId } = session
    const at = isoTime(clock.now())
    const command = { type: 'SignOut' as const, operatorId, sessionId, at }
    await pipelines.operators.handle(operatorsStream, command, context)
  }
}
