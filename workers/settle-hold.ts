import { accountStream } from '../domain/account/account.ts'
import type { Pipelines } from '../domain/aggregates.ts'
import type { CommandContext } from '../domain/pipeline/command-pipeline.ts'

/** How a job ended, as its settlement says it. */
export type JobEnding = 'succeeded' | 'failed' | 'canceled' | 'expired'

export type HoldToSettle = {
  readonly jobId: string
  readonly holdId: string
  readonly ending: JobEnding
}

/** Gives back what is left of the hold of a job that has ended. Doing it again does nothing. */
export async function settleHold(
  { accounts }: Pick<Pipelines, 'accounts'>,
  { jobId, holdId, ending }: HoldToSettle,
  context: CommandContext,
): Promise<void> {
  const command = { type: 'SettleHold' as const, jobId, holdId, outcome: ending }
  await accounts.handle(accountStream(context.orgId), command, context)
}
