import { expect } from '@jest/globals'
import { fold } from '../../domain/decider.ts'
import type { Decider, DomainEvent } from '../../domain/decider.ts'
import { DomainError } from '../../domain/errors.ts'
import type { ErrorCode } from '../../domain/errors.ts'
import { assertStorable } from './event-schema.ts'

/**
 * `given(jobDecider, history).when(command).then(events)`. Every event that comes out is checked
 * against its schema in docs/events.
 */
export function given<State, Command, Event extends DomainEvent>(
  decider: Decider<State, Command, Event>,
  history: readonly Event[],
) {
  const state = fold(decider.evolve, decider.initial, history)
  return {
    state,
    when: (command: Command) => ({
      then: (events: readonly Event[]) => {
        const decided = decider.decide(state, command)
        decided.forEach(assertStorable)
        expect(decided).toStrictEqual(events)
      },
      doesNothing: () => {
        expect(decider.decide(state, command)).toStrictEqual([])
      },
      refuses: (code: ErrorCode, extra: Readonly<Record<string, unknown>> = {}) => {
        const refusal = refusalOf(decider, state, command)
        expect(refusal).toMatchObject({ code, extra })
      },
    }),
  }
}

/** What a command does: its events, or the refusal. Anything else that is thrown is a bug. */
export function refusalOf<State, Command, Event extends DomainEvent>(
  decider: Decider<State, Command, Event>,
  state: State,
  command: Command,
): DomainError | readonly Event[] {
  try {
    return decider.decide(state, command)
  } catch (error) {
    if (error instanceof DomainError) return error
    throw error
  }
}
