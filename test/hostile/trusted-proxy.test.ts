import { createHash } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { openPool } from '../../infra/postgres/pool.ts'
import { PostgresLimitStore } from '../../infra/postgres/limit-store.ts'
import { useWeir } from '../support/use-weir.ts'

const used = useWeir({ env: { WEIR_TRUSTED_PROXIES: '127.0.0.1' } })

/** As if somebody there had guessed as often as one place may. */
async function useUpTriesOf(place: string): Promise<void> {
  const pool = openPool(used.weir.databaseUrl, { max: 1, applicationName: 'test' })
  const key = `sign-in:ip:${createHash('sha256').update(place).digest('hex')}`
  const check = { key, max: 30, windowMs: 15 * 60_000, cost: 30 }
  await new PostgresLimitStore(pool).take([check], Date.now())
  await pool.end()
}

test('behind a proxy one place that guesses passwords does not lock out the others', async () => {
  const statusFor = async (forwarded: string): Promise<number> => {
    const credentials = { email: 'ann@example.com', password: 'wrong' }
    const headers = { 'x-forwarded-for': forwarded }
    return (await used.nobody.post('/v1/admin/session', credentials, headers)).status
  }
  await useUpTriesOf('192.0.2.1')
  expect(await statusFor('192.0.2.1')).toBe(429)
  // What was said before the proxy spoke is not believed.
  expect(await statusFor('198.51.100.9, 192.0.2.1')).toBe(429)
  expect(await statusFor('192.0.2.2')).toBe(401)
})
