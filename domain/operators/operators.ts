import type { Decider } from '../decider.ts'

/** The people who administrate an installation. */
export const operatorsStream = 'operators'

export type OperatorRole = 'viewer' | 'support' | 'finance' | 'owner'

// Events

/** A person may administrate this installation. */
export type OperatorRegistered = {
  readonly type: 'OperatorRegistered'
  readonly data: {
    readonly operatorId: string
    readonly email: string
    readonly role: OperatorRole
    /** SHA-256 of the token's secret part, hex. */
    readonly tokenSha256: string
    readonly registeredAt: string
  }
}

export type OperatorsEvent = OperatorRegistered

// State

export type Operator = OperatorRegistered['data']
export type Operators = { readonly operators: readonly Operator[] }

export function evolve(state: Operators, event: OperatorsEvent): Operators {
  return { operators: [...state.operators, event.data] }
}

// Commands

export type RegisterOperator = { readonly type: 'RegisterOperator'; readonly operator: Operator }

export function decide(state: Operators, command: RegisterOperator): readonly OperatorsEvent[] {
  const { operator } = command
  if (state.operators.some((known) => known.operatorId === operator.operatorId)) return []
  return [{ type: 'OperatorRegistered', data: operator }]
}

export const operatorsDecider: Decider<Operators, RegisterOperator, OperatorsEvent> = {
  initial: { operators: [] },
  evolve,
  decide,
}
