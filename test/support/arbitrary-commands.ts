import fc from 'fast-check'
import { grantKinds } from '../../domain/account/burn.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import type { Limit } from '../../domain/account/limits.ts'
import type { JobCommand } from '../../domain/job/job.ts'
import type { OperatorsCommand } from '../../domain/operators/operators.ts'
import type { PublishPrice } from '../../domain/pricing/price-book.ts'
import * as account from './account-history.ts'
import * as job from './job-history.ts'

// Commands from small sets of names and numbers, so that they meet each other often.

const { at } = job
const small = (max: number) => fc.integer({ min: 0, max })
const amount = (max: bigint) => fc.bigInt(0n, max)

/** Times of a minute, around the deadlines and expiries that the commands set. */
const time = small(60).map(at)

// Jobs

const submission: fc.Arbitrary<JobCommand> = fc
  .record({
    attemptsMax: fc.integer({ min: 1, max: 3 }),
    deadlineSeconds: fc.constantFrom(null, 20, 40),
  })
  .map(({ attemptsMax, deadlineSeconds }) => {
    const deadlineAt = deadlineSeconds === null ? null : at(deadlineSeconds)
    return { type: 'SubmitJob', spec: { ...job.jobSpec, attemptsMax, deadlineSeconds, deadlineAt } }
  })

const epoch = small(6)
const ending = fc.constantFrom(
  { reason: 'error', error: job.retryable } as const,
  { reason: 'error', error: job.fatal } as const,
  { reason: 'lease_expired', error: null } as const,
  { reason: 'shutdown', error: null } as const,
)

export const jobCommand: fc.Arbitrary<JobCommand> = fc.oneof(
  { arbitrary: submission, weight: 2 },
  { arbitrary: fc.tuple(epoch, time).map(([number, when]) => job.start(number, when)), weight: 5 },
  fc
    .tuple(fc.constantFrom('s1', 's2'), epoch)
    .map(([step, number]) => job.completeStep(step, number)),
  epoch.map(job.succeed),
  {
    arbitrary: fc
      .tuple(epoch, ending, time)
      .map(([number, end, runAt]) => job.endAttempt(number, { ...end, runAt })),
    weight: 4,
  },
  fc.constant(job.requestCancel),
  epoch.map(job.confirmCancel),
  time.map(job.enforceDeadline),
  small(4).map((number) => job.requeue(number)),
  fc.constant(job.abandon),
)

// Accounts

const name = (letter: string, max: number) => small(max).map((number) => `${letter}${number}`)
const holdId = name('h', 5)

const grant = fc
  .record({
    grantId: name('g', 9),
    amount: fc.bigInt(1n, 120n),
    kind: fc.constantFrom(...grantKinds),
    priority: small(2),
    expiresAt: fc.option(time),
    at: time,
  })
  .map(({ grantId, amount: given, ...more }) => account.grant(grantId, given, more))

const adjustment = fc
  .tuple(name('a', 9), fc.bigInt(-60n, 60n), time)
  .filter(([, given]) => given !== 0n)
  .map(([adjustmentId, given, when]) => account.adjust(adjustmentId, given, when))

/** What happens to the money of an open account, at times in any order. */
export const moneyCommand: fc.Arbitrary<AccountCommand> = fc.oneof(
  { arbitrary: grant, weight: 3 },
  adjustment,
  time.map(account.expire),
  {
    arbitrary: fc
      .tuple(holdId, amount(80n), time)
      .map(([id, held, when]) => account.hold(id, held, when)),
    weight: 4,
  },
  {
    arbitrary: fc
      .tuple(name('u', 5), holdId, amount(50n), time)
      .map(([id, on, charged, when]) => account.use(id, on, charged, when)),
    weight: 5,
  },
  { arbitrary: holdId.map(account.settle), weight: 2 },
)

const endpointId = name('e', 3)

const endpointCommand: fc.Arbitrary<AccountCommand> = fc.oneof(
  endpointId.map((id) => account.registerEndpoint(id)),
  endpointId.map((id) => account.removeEndpoint(id)),
  fc.tuple(endpointId, name('r', 9), time).map(([id, rotation, when]) => {
    return account.rotateSecret(id, rotation, when)
  }),
  { arbitrary: endpointId.map(account.disableEndpoint), weight: 2 },
  { arbitrary: endpointId.map(account.enableEndpoint), weight: 3 },
)

const limit: fc.Arbitrary<Limit> = fc
  .record({
    scope: fc.constantFrom('org', 'user', 'provider'),
    key: fc.constantFrom(null, 'u1', 'local'),
    kind: fc.constantFrom('spend', 'units'),
    window: fc.constantFrom('day', 'month'),
    max: small(200),
    until: fc.option(time),
  })
  .map((each) => ({ ...each, unit: each.kind === 'units' ? 'megapixels' : null }))

const standingCommand: fc.Arbitrary<AccountCommand> = fc.oneof(
  fc.array(limit, { maxLength: 3 }).map((limits) => account.setLimits(limits)),
  fc.tuple(small(9), fc.option(time)).map(([rate, until]) => account.throttle(rate, until)),
  fc.constant(account.ban),
  fc.constant(account.reinstate),
)

export const opening: fc.Arbitrary<AccountCommand> = amount(40n).map(account.openAccount)

export const accountCommand: fc.Arbitrary<AccountCommand> = fc.oneof(
  { arbitrary: moneyCommand, weight: 8 },
  { arbitrary: opening, weight: 2 },
  name('k', 3).map(account.issueKey),
  name('k', 3).map(account.revokeKey),
  { arbitrary: endpointCommand, weight: 4 },
  { arbitrary: standingCommand, weight: 3 },
)

// The others

export const priceBookCommand: fc.Arbitrary<PublishPrice> = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.constantFrom('0.5', '3e-8'))
  .map(([version, costUsd]) => {
    const line = { provider: 'sandbox', model: null, unit: 'requests', priceCredits: '1' }
    const prices = [{ ...line, costUsd }]
    return { type: 'PublishPrice', version, effectiveAt: at(version), prices, reason: 'list' }
  })

const operatorId = name('o', 3)
const sessionId = name('s', 9)

export const operatorsCommand: fc.Arbitrary<OperatorsCommand> = fc.oneof(
  operatorId.map((id): OperatorsCommand => {
    const who = { operatorId: id, email: 'ada@weir.test', role: 'owner' } as const
    const operator = { ...who, registeredAt: at(0), tokenSha256: 'ef'.repeat(32) }
    return { type: 'RegisterOperator', operator }
  }),
  fc.tuple(operatorId, name('p', 3), time).map(([id, passwordHash, when]): OperatorsCommand => {
    return { type: 'SetOperatorPassword', operatorId: id, passwordHash, at: when }
  }),
  fc.tuple(operatorId, sessionId, small(60)).map(([id, session, from]): OperatorsCommand => {
    const times = { signedInAt: at(from), endsAt: at(from + 30) }
    const secretSha256 = 'ab'.repeat(32)
    return { type: 'SignIn', operatorId: id, sessionId: session, secretSha256, ...times }
  }),
  fc.tuple(operatorId, sessionId, time).map(([id, session, when]): OperatorsCommand => {
    return { type: 'SignOut', operatorId: id, sessionId: session, at: when }
  }),
)
