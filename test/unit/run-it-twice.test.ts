import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accountDecider } from '../../domain/account/account.ts'
import { catalog } from '../../domain/catalog.ts'
import type { EventType } from '../../domain/catalog.ts'
import { fold } from '../../domain/decider.ts'
import type { Decider, DomainEvent } from '../../domain/decider.ts'
import { DomainError } from '../../domain/errors.ts'
import { jobDecider } from '../../domain/job/job.ts'
import type { JobCommand } from '../../domain/job/job.ts'
import type { JobEvent } from '../../domain/job/job-events.ts'
import { operatorsDecider } from '../../domain/operators/operators.ts'
import { priceBookDecider } from '../../domain/pricing/price-book.ts'
import * as arbitrary from '../support/arbitrary-commands.ts'
import { assertStorable } from '../support/event-schema.ts'
import { refusalOf } from '../support/given.ts'

type Answer<Event> = DomainError | readonly Event[]
type Twice<Command, Event> = {
  readonly command: Command
  readonly first: readonly Event[]
  /** The same command once more, on what the first made. */
  readonly second: Answer<Event>
  readonly third: Answer<Event>
}

/**
 * Runs random commands from the beginning, each that is accepted three times in a row on copies of
 * the state, and hands what came of it to `check`. Every event has to fit its schema.
 *
 * @returns the types of the events that were seen
 */
function everyAccepted<State, Command, Event extends DomainEvent>(
  decider: Decider<State, Command, Event>,
  command: fc.Arbitrary<Command>,
  check: (twice: Twice<Command, Event>) => void,
): ReadonlySet<string> {
  const accepted = new Set<string>()
  const next = (state: State, answer: Answer<Event>) =>
    answer instanceof DomainError ? state : fold(decider.evolve, state, answer)
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60, size: 'max' }), (commands) => {
      let state = decider.initial
      for (const each of commands) {
        const first = refusalOf(decider, state, each)
        if (first instanceof DomainError) continue
        first.forEach(assertStorable)
        for (const { type } of first) accepted.add(type)
        state = next(state, first)
        const second = refusalOf(decider, state, each)
        const third = refusalOf(decider, next(state, second), each)
        check({ command: each, first, second, third })
      }
    }),
    { numRuns: 150 },
  )
  return accepted
}

/** So that no event escapes the check because no random command ever caused it. */
function expectAll(category: (typeof catalog)[EventType], seen: ReadonlySet<string>): void {
  const types = Object.entries(catalog).filter(([, each]) => each === category)
  expect([...seen].sort()).toEqual(types.map(([type]) => type).sort())
}

test('an account does nothing the second time', () => {
  expectAll('account', everyAccepted(accountDecider, arbitrary.accountCommand, nothing))
})

test('the price book does nothing the second time', () => {
  expectAll('price-book', everyAccepted(priceBookDecider, arbitrary.priceBookCommand, nothing))
})

test('the operators do nothing the second time', () => {
  expectAll('operators', everyAccepted(operatorsDecider, arbitrary.operatorsCommand, nothing))
})

test('a job does nothing the second time, or says that it is over', () => {
  expectAll('job', everyAccepted(jobDecider, arbitrary.jobCommand, jobTwice))
})

function jobTwice(twice: Twice<JobCommand, JobEvent>): void {
  const { command, first, second, third } = twice
  const caused = first.map(({ type }) => type)
  if (command.type === 'RequestCancel' && caused.includes('JobCanceled')) {
    // Canceling a finished job is a conflict: the contract wants the customer to know.
    expect(second).toMatchObject({ code: 'conflict' })
  } else if (command.type === 'StartJob' && caused.includes('JobRetryScheduled')) {
    // The lease met an attempt that nobody had ended; with that out of its way, it starts its own.
    expect(second).toMatchObject([{ type: 'JobStarted' }])
    expect(third).toEqual([])
  } else if (command.type === 'StartJob' && caused.length > 0 && !caused.includes('JobStarted')) {
    // The job was over instead of starting: whoever starts it again holds a lost lease.
    expect(second).toMatchObject({ code: 'conflict', extra: { fenced: true } })
  } else {
    nothing(twice)
  }
}

function nothing({ second }: Pick<Twice<unknown, unknown>, 'second'>): void {
  expect(second).toEqual([])
}
