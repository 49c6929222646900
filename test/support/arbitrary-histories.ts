import fc from 'fast-check'
import { accountDecider } from '../../domain/account/account.ts'
import { fold } from '../../domain/decider.ts'
import type { Decider, DomainEvent } from '../../domain/decider.ts'
import { DomainError } from '../../domain/errors.ts'
import { jobDecider } from '../../domain/job/job.ts'
import { accountCommand, jobCommand, opening } from './arbitrary-commands.ts'
import { refusalOf } from './given.ts'

/** An event that was decided, and the state that it led to. */
export type Decided<State, Event> = { readonly event: Event; readonly state: State }

/** What the commands leave in one stream; those that are refused leave nothing. */
function decidedBy<State, Command, Event extends DomainEvent>(
  decider: Decider<State, Command, Event>,
  commands: readonly Command[],
): readonly Decided<State, Event>[] {
  const history: Decided<State, Event>[] = []
  let state = decider.initial
  for (const command of commands) {
    const answer = refusalOf(decider, state, command)
    if (answer instanceof DomainError) continue
    for (const event of answer) {
      state = fold(decider.evolve, state, [event])
      history.push({ event, state })
    }
  }
  return history
}

const many = { maxLength: 60, size: 'max' } as const

/** What random commands leave in the stream of one job. */
export const jobHistory = fc
  .array(jobCommand, many)
  .map((commands) => decidedBy(jobDecider, commands))

/** What random commands leave on one account. */
export const accountHistory = fc
  .tuple(opening, fc.array(accountCommand, many))
  .map(([first, rest]) => decidedBy(accountDecider, [first, ...rest]))
