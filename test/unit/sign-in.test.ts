import { expect, test } from '@jest/globals'
import type { LimitCheck, LimitDecision } from '../../domain/ports/limit-store.ts'
import { MemoryLimitStore } from '../../infra/memory/limit-store.ts'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { SignIn, SignInHandler } from '../../src/commands/sign-in.ts'
import type { Runtime } from '../../src/runtime.ts'

/** A store in which every counter is full: nobody gets as far as a password. */
class FullLimitStore extends MemoryLimitStore {
  readonly counters: string[] = []

  override async take(checks: readonly LimitCheck[]): Promise<LimitDecision> {
    const [, place] = checks.map(({ key }) => key)
    this.counters.push(String(place))
    return { allowed: false, key: String(place), used: 30, retryAfterMs: 1_000 }
  }
}

/** The counter of whoever tries to sign in from there. */
async function counterOf(ip: string): Promise<string | undefined> {
  const limits = new FullLimitStore()
  const runtime = { limits, clock: new SimulatedClock() }
  const handler = new SignInHandler(runtime as unknown as Runtime)
  const about = { orgId: 'weir', actor: 'anonymous', correlationId: 'c', traceparent: null }
  const credentials = { email: 'ann@example.com', password: 'wrong', ip }
  const signIn = new SignIn(credentials, { commandId: 'c', ...about })
  await expect(handler.execute(signIn)).rejects.toMatchObject({ code: 'rate_limited' })
  return limits.counters[0]
}

test('tries from all addresses of one IPv6 network are counted together', async () => {
  const known = await counterOf('2001:db8::1')
  for (const ip of ['2001:db8::', '2001:db8::9:1', '2001:db8:0:0:ffff:1:2:3']) {
    expect(await counterOf(ip)).toBe(known)
  }
})

test('tries from other networks, and from each IPv4 address, are counted apart', async () => {
  const ips = [
    ...['2001:db8::1', '2001:db8:0:1::1', '2001:db9::1', '::1', '1::', 'fe80::1%eth0'],
    ...['192.0.2.1', '192.0.2.2', '::ffff:192.0.2.1', '::ffff:192.0.2.2'],
  ]
  const counters = await Promise.all(ips.map(counterOf))
  expect(new Set(counters).size).toBe(ips.length)
})

test('the port that a proxy tells beside an address makes no other place of it', async () => {
  expect(await counterOf('192.0.2.1:50123')).toBe(await counterOf('192.0.2.1'))
  expect(await counterOf('[2001:db8::1]:50123')).toBe(await counterOf('2001:db8::1'))
  expect(await counterOf('[2001:db8::2]')).toBe(await counterOf('2001:db8::1'))
})
