import type { Decider } from '../decider.ts'
import { DomainError } from '../errors.ts'
import { unreachable } from '../unreachable.ts'

/** The people who administrate an installation. */
export const operatorsStream = 'operators'

export type OperatorRole = 'viewer' | 'support' | 'finance' | 'owner'

/** Sessions of one operator at the same time; the oldest ends when there is one more. */
export const operatorSessionsMax = 20

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
/** From now on the operator signs in with this password; sessions from before are over. */
export type OperatorPasswordSet = {
  readonly type: 'OperatorPasswordSet'
  readonly data: {
    readonly operatorId: string
    /** scrypt with its parameters and salt; a password is no secret of 192 bits. */
    readonly passwordHash: string
    readonly setAt: string
  }
}
/** The operator has proven who it is, and a browser may act as it for a while. */
export type OperatorSignedIn = {
  readonly type: 'OperatorSignedIn'
  readonly data: {
    readonly operatorId: string
    readonly sessionId: string
    /** SHA-256 of the session's secret, hex. */
    readonly secretSha256: string
    readonly signedInAt: string
    readonly endsAt: string
  }
}
/** The session is over before its time. */
export type OperatorSignedOut = {
  readonly type: 'OperatorSignedOut'
  readonly data: {
    readonly operatorId: string
    readonly sessionId: string
    readonly signedOutAt: string
  }
}

export type OperatorsEvent =
  OperatorRegistered | OperatorPasswordSet | OperatorSignedIn | OperatorSignedOut

// State

export type Operator = OperatorRegistered['data'] & {
  /** Null when there is none: then only the token opens. */
  readonly passwordHash: string | null
}
export type OperatorSession = OperatorSignedIn['data']
export type Operators = {
  readonly operators: readonly Operator[]
  /** Oldest first; some of them may be over. */
  readonly sessions: readonly OperatorSession[]
}

export function evolve(state: Operators, event: OperatorsEvent): Operators {
  const { operators, sessions } = state
  switch (event.type) {
    case 'OperatorRegistered':
      return { operators: [...operators, { ...event.data, passwordHash: null }], sessions }
    case 'OperatorPasswordSet': {
      const { operatorId, passwordHash } = event.data
      return {
        operators: operators.map((one) =>
          one.operatorId === operatorId ? { ...one, passwordHash } : one,
        ),
        sessions: sessions.filter((session) => session.operatorId !== operatorId),
      }
    }
    case 'OperatorSignedIn':
      return { operators, sessions: [...going(sessions, event.data), event.data] }
    case 'OperatorSignedOut': {
      const { sessionId } = event.data
      return { operators, sessions: sessions.filter((session) => session.sessionId !== sessionId) }
    }
    default:
      return unreachable(event)
  }
}

/** The sessions that stay when another one begins. */
function going(
  sessions: readonly OperatorSession[],
  { operatorId, signedInAt }: OperatorSession,
): readonly OperatorSession[] {
  const live = sessions.filter(({ endsAt }) => endsAt > signedInAt)
  const others = live.filter((session) => session.operatorId !== operatorId)
  const own = live.filter((session) => session.operatorId === operatorId)
  return [...others, ...own.slice(1 - operatorSessionsMax)]
}

/** A session that has not ended by then, and whose it is. */
export function sessionAt(state: Operators, sessionId: string, at: string) {
  const session = state.sessions.find((known) => known.sessionId === sessionId)
  if (!session || session.endsAt <= at) return null
  const operator = state.operators.find(({ operatorId }) => operatorId === session.operatorId)
  return operator ? { session, operator } : null
}

// Commands

export type OperatorsCommand =
  | { readonly type: 'RegisterOperator'; readonly operator: OperatorRegistered['data'] }
  | {
      readonly type: 'SetOperatorPassword'
      readonly operatorId: string
      readonly passwordHash: string
      readonly at: string
    }
  | ({ readonly type: 'SignIn' } & OperatorSession)
  | {
      readonly type: 'SignOut'
      readonly operatorId: string
      readonly sessionId: string
      readonly at: string
    }

export function decide(state: Operators, command: OperatorsCommand): readonly OperatorsEvent[] {
  switch (command.type) {
    case 'RegisterOperator': {
      const { operator } = command
      if (state.operators.some(({ operatorId }) => operatorId === operator.operatorId)) return []
      return [{ type: 'OperatorRegistered', data: operator }]
    }
    case 'SetOperatorPassword': {
      const { operatorId, passwordHash, at: setAt } = command
      if (existingOperator(state, operatorId).passwordHash === passwordHash) return []
      return [{ type: 'OperatorPasswordSet', data: { operatorId, passwordHash, setAt } }]
    }
    case 'SignIn': {
      const { type: _, ...session } = command
      existingOperator(state, session.operatorId)
      if (state.sessions.some(({ sessionId }) => sessionId === session.sessionId)) return []
      return [{ type: 'OperatorSignedIn', data: session }]
    }
    case 'SignOut': {
      const { operatorId, sessionId, at: signedOutAt } = command
      if (!state.sessions.some((session) => session.sessionId === sessionId)) return []
      return [{ type: 'OperatorSignedOut', data: { operatorId, sessionId, signedOutAt } }]
    }
    default:
      return unreachable(command)
  }
}

function existingOperator({ operators }: Operators, operatorId: string): Operator {
  const found = operators.find((operator) => operator.operatorId === operatorId)
  if (!found) throw new DomainError('not_found', 'There is no such operator.')
  return found
}

export const operatorsDecider: Decider<Operators, OperatorsCommand, OperatorsEvent> = {
  initial: { operators: [], sessions: [] },
  evolve,
  decide,
}
