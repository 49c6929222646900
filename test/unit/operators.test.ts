import { expect, test } from '@jest/globals'
import { operatorsDecider } from '../../domain/operators/operators.ts'
import type { Operator, RegisterOperator } from '../../domain/operators/operators.ts'
import { given } from '../support/given.ts'
import { at } from '../support/job-history.ts'

const operator: Operator = {
  operatorId: 'o1',
  email: 'ada@weir.test',
  role: 'owner',
  tokenSha256: 'ef'.repeat(32),
  registeredAt: at(0),
}
const register: RegisterOperator = { type: 'RegisterOperator', operator }
const registered = { type: 'OperatorRegistered', data: operator } as const

test('an operator is registered', () => {
  given(operatorsDecider, []).when(register).then([registered])
  expect(given(operatorsDecider, [registered]).state.operators).toEqual([operator])
})

test('an operator is registered once', () => {
  given(operatorsDecider, [registered]).when(register).doesNothing()
})

test('a second operator is registered beside the first', () => {
  const second = { ...operator, operatorId: 'o2' }
  given(operatorsDecider, [registered])
    .when({ ...register, operator: second })
    .then([{ ...registered, data: second }])
})
