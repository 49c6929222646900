import { beforeEach, describe, expect, test } from '@jest/globals'
import { accountStream } from '../../../domain/account/account.ts'
import type { Limit } from '../../../domain/account/limits.ts'
import { isoTime } from '../../../domain/ports/clock.ts'
import { Postponed, ProviderTurns } from '../../../workers/provider-turns.ts'
import { MemoryWeir } from '../../support/memory-weir.ts'

let weir: MemoryWeir
let turns: ProviderTurns

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  await weir.openOrg('other', 1n)
  turns = new ProviderTurns(weir)
})

async function limit(orgId: string, ...limits: readonly Partial<Limit>[]): Promise<void> {
  const each = { scope: 'provider', key: null, kind: 'requests', window: 'second' } as const
  const whole = limits.map((one): Limit => ({ ...each, unit: null, max: 1, until: null, ...one }))
  const at = isoTime(weir.clock.now())
  const command = { type: 'SetLimits' as const, limits: whole, reason: '', at }
  await weir.pipelines.accounts.handle(accountStream(orgId), command, weir.context(orgId))
}

/** Asks for a call; tells later when its turn was, in ms from now, or that it was postponed. */
function ask(orgId = 'acme', provider = 'sandbox', signal = new AbortController().signal) {
  const from = weir.clock.now()
  const asked: { turn: number | string | null } = { turn: null }
  turns.wait(orgId, provider, signal).then(
    () => (asked.turn = weir.clock.now() - from),
    (error: unknown) => (asked.turn = error instanceof Error ? error.name : String(error)),
  )
  return asked
}

function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  )
}

describe('a limit on the requests to a provider', () => {
  test('lets calls beyond it wait for their turn, for two seconds in all', async () => {
    await limit('acme', {})
    const asked = [ask(), ask(), ask(), ask(), ask()]
    await weir.pass(9)
    expect(asked.map(({ turn }) => turn)).toEqual([0, 1_000, 2_000, 'Postponed', 'Postponed'])
  })

  test('counts for its provider, and for its org', async () => {
    await limit('acme', {})
    await limit('other', {})
    const asked = [ask('acme'), ask('acme', 'elsewhere'), ask('other')]
    await weir.pass(9)
    expect(asked.map(({ turn }) => turn)).toEqual([0, 0, 0])
  })

  test('holds nobody else up', async () => {
    await limit('acme', { key: 'sandbox', max: 0 })
    const asked = [ask('acme'), ask('other'), ask('acme', 'elsewhere')]
    await weir.pass(9)
    expect(asked.map(({ turn }) => turn)).toEqual(['Postponed', 0, 0])
  })

  test('sends a call whose turn is far away back until then, each to another time', async () => {
    await limit('acme', { window: 'minute' })
    const now = weir.clock.now()
    await turns.wait('acme', 'sandbox', new AbortController().signal)
    const untils: number[] = []
    for (let call = 1; call <= 3; call += 1) {
      const error = await refusal(turns.wait('acme', 'sandbox', new AbortController().signal))
      untils.push(error instanceof Postponed ? error.until - now : NaN)
    }
    for (const until of untils) {
      expect(until).toBeGreaterThanOrEqual(60_000)
      expect(until).toBeLessThan(240_000)
    }
    expect(new Set(untils).size).toBe(3)
  })
})

test('what admission has counted is not counted at the call', async () => {
  await limit(
    'acme',
    { scope: 'org', max: 0 },
    { kind: 'units', unit: 'requests', window: 'day', max: 0 },
    { kind: 'spend', window: 'day', max: 0 },
  )
  const asked = ask()
  await weir.pass(9)
  expect(asked.turn).toBe(0)
})

test('a call that is broken off while it waits is not made', async () => {
  await limit('acme', {})
  const cut = new AbortController()
  const [first, second] = [ask(), ask('acme', 'sandbox', cut.signal)]
  await weir.pass(0.5)
  cut.abort(new RangeError('canceled'))
  await weir.pass(0.6)
  const third = ask()
  await weir.pass(9)
  expect([first.turn, second.turn, third.turn]).toEqual([0, 'RangeError', 0])
})

test('limits that could not be read are read again for the next call', async () => {
  await limit('acme', { max: 0 })
  const { accounts } = weir.pipelines
  const load = accounts.load.bind(accounts)
  accounts.load = () => Promise.reject(new RangeError('away'))
  const first = ask()
  await weir.pass(0)
  accounts.load = load
  const second = ask()
  await weir.pass(9)
  expect([first.turn, second.turn]).toEqual(['RangeError', 'Postponed'])
})
