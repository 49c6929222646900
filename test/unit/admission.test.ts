import { beforeEach, expect, test } from '@jest/globals'
import { accountStream } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import type { Limit } from '../../domain/account/limits.ts'
import { openPipelines } from '../../domain/aggregates.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { admit } from '../../src/commands/admission.ts'
import type { Allowance } from '../../src/http/rate-limit-headers.ts'
import { MemoryLimitStore } from '../../infra/memory/limit-store.ts'
import * as a from '../support/account-history.ts'
import { callMicro, MemoryWeir } from '../support/memory-weir.ts'

const stream = accountStream('acme')
const nobody = { userId: null, providers: [], jobType: null }

class CountedLimitStore extends MemoryLimitStore {
  takes = 0

  override take(...request: Parameters<MemoryLimitStore['take']>) {
    this.takes += 1
    return super.take(...request)
  }
}

let weir: MemoryWeir

beforeEach(async () => {
  weir = await new MemoryWeir().open()
})

async function issue(command: AccountCommand): Promise<void> {
  await weir.pipelines.accounts.handle(stream, command, weir.context('acme'))
}

/** Asks for a job as a submit does. The pipelines beat by the simulated clock. */
async function ask(userId: string | null = null, calls = 1n): Promise<Allowance | null> {
  const holdId = weir.ids.next()
  const at = isoTime(weir.clock.now())
  const amount = calls * callMicro
  const hold = { ...a.hold(holdId, amount, at), userId }
  const subject = { userId, providers: ['sandbox'], jobType: 'sandbox.run' }
  return admit(weir, hold, subject, weir.context('acme'))
}

const outcome = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'admitted',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : 'broken'),
  )

async function outcomes(count: number, userId: string | null = null): Promise<readonly string[]> {
  const all: string[] = []
  while (all.length < count) all.push(await outcome(ask(userId)))
  return all
}

const perHour = (more: Partial<Limit> = {}) => a.limit({ window: 'hour', max: 2, ...more })
const refused = 'rate_limited'

test('an org without limits is not counted anywhere', async () => {
  const limits = new CountedLimitStore()
  const hold = a.hold('h1', callMicro, isoTime(weir.clock.now()))
  const { pipelines, clock } = weir
  expect(await admit({ pipelines, clock, limits }, hold, nobody, weir.context('acme'))).toBeNull()
  expect(limits.takes).toBe(0)
})

test('tells what is left of the tightest limit', async () => {
  await issue(a.setLimits([perHour({ max: 10 }), a.limit({ max: 4, window: 'minute' })]))
  expect(await ask()).toMatchObject({ policy: 'org-requests', limit: 4, remaining: 3 })
  expect(await ask()).toMatchObject({ limit: 4, remaining: 2, resetSeconds: 30 })
})

test('a job that one limit refuses is counted by none', async () => {
  await issue(a.setLimits([perHour({ scope: 'user' }), perHour({ max: 3 })]))
  expect(await outcomes(4, 'ada')).toEqual(['admitted', 'admitted', refused, refused])
  expect(await outcomes(2, 'bob')).toEqual(['admitted', refused])
})

test('a job that cannot be paid gives its count back, though others were faster', async () => {
  await weir.openOrg('poor', 2n * callMicro)
  const limits = a.setLimits([perHour({ max: 3 })])
  await weir.pipelines.accounts.handle(accountStream('poor'), limits, weir.context('poor'))
  const asked = [1, 2, 3].map(async () => {
    const hold = a.hold(weir.ids.next(), callMicro, isoTime(weir.clock.now()))
    return outcome(admit(weir, hold, nobody, weir.context('poor')))
  })
  const answers = await Promise.all(asked)
  expect(answers.toSorted()).toEqual(['admitted', 'admitted', 'insufficient_credits'])
  const grant = a.grant('more', 9n * callMicro, { at: isoTime(weir.clock.now()) })
  await weir.pipelines.accounts.handle(accountStream('poor'), grant, weir.context('poor'))
  const hold = a.hold(weir.ids.next(), callMicro, isoTime(weir.clock.now()))
  const last = await admit(weir, hold, nobody, weir.context('poor'))
  expect(last).toMatchObject({ remaining: 0 })
})

test('a repetition of what was let in is neither refused nor counted', async () => {
  await issue(a.setLimits([perHour({ max: 2 })]))
  const hold = a.hold(weir.ids.next(), callMicro, isoTime(weir.clock.now()))
  const repeated = async () => outcome(admit(weir, hold, nobody, weir.context('acme')))
  expect([await repeated(), await repeated()]).toEqual(['admitted', 'admitted'])
  expect(await outcomes(2)).toEqual(['admitted', refused])
  expect(await repeated()).toBe('admitted')
})

test('limits that another process has set are in force at once', async () => {
  expect(await outcomes(1)).toEqual(['admitted'])
  // Written behind the back of the api's own pipelines.
  const observer = { appended: () => undefined, conflicted: () => undefined }
  const { store, snapshots, clock, ids } = weir
  const other = openPipelines({ store, snapshots, clock, ids, observer })
  const limits = a.setLimits([perHour({ max: 1 })])
  await other.accounts.handle(stream, limits, weir.context('acme'))
  expect(await outcomes(2)).toEqual(['admitted', refused])
})

test('a throttle ends at its time', async () => {
  const until = isoTime(weir.clock.now() + 90_000)
  await issue(a.throttle(1, until))
  expect(await outcomes(2)).toEqual(['admitted', 'account_throttled'])
  await weir.pass(60)
  expect(await outcomes(2)).toEqual(['admitted', 'account_throttled'])
  await weir.pass(30)
  expect(await outcomes(3)).toEqual(['admitted', 'admitted', 'admitted'])
})

test('nobody is told to wait beyond the end of an override or a throttle', async () => {
  const until = isoTime(weir.clock.now() + 5_000)
  const soon = { resetAt: until, retryAfterSeconds: 5 }
  await issue(a.setLimits([perHour({ max: 9 }), perHour({ max: 0, until })]))
  await expect(ask()).rejects.toMatchObject({ code: refused, extra: soon })
  await issue(a.setLimits([]))
  await issue(a.throttle(0, until))
  await expect(ask()).rejects.toMatchObject({ code: 'account_throttled', extra: soon })
})

test('a provider of which the day is used up refuses; what is per second does not', async () => {
  const daily = perHour({ scope: 'provider', key: 'sandbox', window: 'day', max: 1 })
  await issue(a.setLimits([{ ...daily, window: 'second', max: 0 }]))
  expect(await outcomes(1)).toEqual(['admitted'])
  await issue(a.setLimits([daily]))
  expect(await outcomes(2)).toEqual(['admitted', 'admitted'])
  const key = 'acme:requests:day:provider:sandbox'
  await weir.limits.take([{ key, max: 1, windowMs: 86_400_000, cost: 1 }], weir.clock.now())
  expect(await outcomes(1)).toEqual(['quota_exceeded'])
})
