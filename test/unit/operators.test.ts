import { describe, expect, test } from '@jest/globals'
import {
  operatorSessionsMax,
  operatorsDecider,
  sessionAt,
} from '../../domain/operators/operators.ts'
import type { OperatorRegistered } from '../../domain/operators/operators.ts'
import type { OperatorsCommand, OperatorsEvent } from '../../domain/operators/operators.ts'
import { given as givenEvents } from '../support/given.ts'
import { at } from '../support/job-history.ts'

const operator: OperatorRegistered['data'] = {
  ...{ operatorId: 'o1', email: 'ada@weir.test', role: 'owner' },
  ...{ tokenSha256: 'ef'.repeat(32), registeredAt: at(0) },
}
const register: OperatorsCommand = { type: 'RegisterOperator', operator }
const registered = { type: 'OperatorRegistered', data: operator } as const

function signIn(sessionId: string, from = 10, operatorId = 'o1'): OperatorsCommand {
  const times = { signedInAt: at(from), endsAt: at(from + 100) }
  return { type: 'SignIn', operatorId, sessionId, secretSha256: 'ab'.repeat(32), ...times }
}

function signOut(sessionId: string): OperatorsCommand {
  return { type: 'SignOut', operatorId: 'o1', sessionId, at: at(20) }
}

const setPassword = (passwordHash: string): OperatorsCommand => {
  return { type: 'SetOperatorPassword', operatorId: 'o1', passwordHash, at: at(5) }
}

/** Given what these commands left. */
function given(...commands: readonly OperatorsCommand[]) {
  let state = operatorsDecider.initial
  const events = commands.flatMap((command): readonly OperatorsEvent[] => {
    const decided = operatorsDecider.decide(state, command)
    state = decided.reduce(operatorsDecider.evolve, state)
    return decided
  })
  return givenEvents(operatorsDecider, events)
}

describe('an operator', () => {
  test('is registered, without a password', () => {
    given().when(register).then([registered])
    expect(given(register).state.operators).toEqual([{ ...operator, passwordHash: null }])
  })

  test('is registered once', () => {
    given(register).when(register).doesNothing()
  })

  test('is registered beside another', () => {
    const second = { ...operator, operatorId: 'o2' }
    given(register)
      .when({ type: 'RegisterOperator', operator: second })
      .then([{ ...registered, data: second }])
  })

  test('gets a password, and the same one once', () => {
    const data = { operatorId: 'o1', passwordHash: 'scrypt$1', setAt: at(5) }
    given(register)
      .when(setPassword('scrypt$1'))
      .then([{ type: 'OperatorPasswordSet', data }])
    given(register, setPassword('scrypt$1')).when(setPassword('scrypt$1')).doesNothing()
    given().when(setPassword('scrypt$1')).refuses('not_found')
  })
})

describe('a session', () => {
  test('begins when the operator signs in, once', () => {
    const { type: _, ...data } = signIn('s1') as Extract<OperatorsCommand, { type: 'SignIn' }>
    given(register)
      .when(signIn('s1'))
      .then([{ type: 'OperatorSignedIn', data }])
    given(register, signIn('s1')).when(signIn('s1')).doesNothing()
    given().when(signIn('s1')).refuses('not_found')
  })

  test('ends with its time', () => {
    const { state } = given(register, signIn('s1'))
    expect(sessionAt(state, 's1', at(109))).toMatchObject({ operator: { operatorId: 'o1' } })
    expect(sessionAt(state, 's1', at(110))).toBeNull()
    expect(sessionAt(state, 's2', at(50))).toBeNull()
  })

  test('ends when the operator signs out, once', () => {
    const data = { operatorId: 'o1', sessionId: 's1', signedOutAt: at(20) }
    given(register, signIn('s1'))
      .when(signOut('s1'))
      .then([{ type: 'OperatorSignedOut', data }])
    given(register, signIn('s1'), signOut('s1')).when(signOut('s1')).doesNothing()
    expect(sessionAt(given(register, signIn('s1'), signOut('s1')).state, 's1', at(21))).toBeNull()
  })

  test('ends with the password that opened it', () => {
    const { state } = given(register, signIn('s1'), setPassword('scrypt$2'))
    expect(sessionAt(state, 's1', at(21))).toBeNull()
  })

  test('that is the oldest of very many ends, those that are over are forgotten', () => {
    const ids = Array.from({ length: operatorSessionsMax + 1 }, (_, n) => `s${n}`)
    const { state } = given(register, ...ids.map((id) => signIn(id)))
    expect(state.sessions.map(({ sessionId }) => sessionId)).toEqual(ids.slice(1))
    const later = given(register, signIn('old', 10), signIn('new', 200)).state
    expect(later.sessions.map(({ sessionId }) => sessionId)).toEqual(['new'])
  })
})
