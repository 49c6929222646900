import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { LedgerView, PastBalance } from '../../src/queries/ledger.ts'
import { runCli } from '../support/cli.ts'
import { expectProblem, expectStatus, sandbox, type Org } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const used = useWeir({ isPostgresEmbedded: true })
const startMicro = 10_000_000n

let org: Org
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weir-ledger-'))
  org = await used.newOrg({ credits: startMicro })
  for (const steps of [2, 3]) await org.api.run(sandbox({ steps }, { userId: '=1+1' }))
  await org.api.billed(startMicro, 5)
  await waitFor('the books to be complete', async () => (await entries()).length === 16, 10_000)
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true }))

const entries = () => org.api.all<LedgerView>('/v1/ledger', 7)

async function statement(query = ''): Promise<readonly (readonly string[])[]> {
  const answer = await org.api.get(`/v1/ledger${query}`, { accept: 'text/csv' })
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    200,
    'text/csv; charset=utf-8',
  ])
  expect(answer.text.endsWith('\r\n')).toBe(true)
  const lines = answer.text.split('\r\n').slice(0, -1)
  return lines.map((line) => line.split(','))
}

test('each transaction sums to zero, and the last balance is the posted one', async () => {
  const rows = (await entries()).toReversed()
  expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, index) => index + 1))
  const sums = new Map<string, bigint>()
  for (const { tx_id, currency, direction, amount_micro } of rows) {
    const amount = direction === 'credit' ? BigInt(amount_micro) : -BigInt(amount_micro)
    sums.set(`${tx_id} ${currency}`, (sums.get(`${tx_id} ${currency}`) ?? 0n) + amount)
  }
  expect([...sums.values()].every((sum) => sum === 0n)).toBe(true)
  const { posted } = await org.api.balance()
  const credits = rows.filter(({ account }) => account === 'customer_credit')
  expect(credits.at(-1)).toMatchObject({ balance_after_micro: posted, held_after_micro: '0' })
})

test('the statement has the same entries, oldest first, and no formulas', async () => {
  const [names, ...lines] = await statement()
  const rows = (await entries()).toReversed()
  expect(names).toEqual(Object.keys(rows[0]!))
  expect(lines).toHaveLength(rows.length)
  const cells = rows.map((row) => Object.values(row).map((value) => String(value ?? '')))
  expect(lines).toEqual(cells.map((line) => line.map((cell) => cell.replace(/^=/, `'=`))))
  expect(lines.flat()).toContain(`'=1+1`)
})

test('a period has the entries that were booked in it', async () => {
  const rows = (await entries()).toReversed()
  const [from, to] = [rows[4]!.booked_at_utc, rows[9]!.booked_at_utc]
  const within = rows.filter((row) => row.booked_at_utc >= from && row.booked_at_utc < to)
  const [, ...lines] = await statement(`?from=${from}&to=${to}`)
  expect(lines.map(([seq]) => Number(seq))).toEqual(within.map(({ seq }) => seq))
  const listed = await org.api.all<LedgerView>(`/v1/ledger?from=${from}&to=${to}`, 2)
  expect(listed.toReversed()).toEqual(within)
})

test('the balance as of each entry is the one that the entry tells', async () => {
  const rows = (await entries()).toReversed()
  for (const by of ['booked', 'recorded'] as const) {
    for (const row of rows.filter(({ account }) => account === 'customer_credit')) {
      const asOf = by === 'booked' ? row.booked_at_utc : row.recorded_at_utc
      const time = (each: LedgerView) =>
        by === 'booked' ? each.booked_at_utc : each.recorded_at_utc
      const known = rows.filter((each) => time(each) <= asOf)
      const posted = known.findLast((each) => each.account === 'customer_credit')
      const answer = await org.api.get<PastBalance>(`/v1/balance?asOf=${asOf}&by=${by}`)
      expect(expectStatus(answer, 200)).toMatchObject({
        ...{ asOf, by, posted: posted?.balance_after_micro },
        held: known.at(-1)?.held_after_micro,
      })
    }
  }
  const before = await org.api.get<PastBalance>('/v1/balance?asOf=2020-01-01T00:00:00Z')
  expect(before.json).toMatchObject({ posted: '0', held: '0', available: '0', by: 'booked' })
})

test('what cannot be asked is refused, also when a file is asked for', async () => {
  const csv = { accept: 'text/csv' }
  expectProblem(await org.api.get('/v1/ledger?from=x', csv), 400, 'invalid_request')
  expectProblem(await org.api.get('/v1/ledger?cursor=x'), 400, 'invalid_request')
  expectProblem(await org.api.get('/v1/balance?asOf=x'), 400, 'invalid_request')
  expectProblem(await org.api.get('/v1/balance?by=x'), 400, 'invalid_request')
  expectProblem(await used.nobody.get('/v1/ledger', csv), 401, 'unauthenticated')
})

test('another org reads nothing of it', async () => {
  const stranger = await used.newOrg({ credits: 0n })
  expect((await stranger.api.get('/v1/ledger')).json).toEqual({ items: [], nextCursor: null })
  const { nextCursor } = (await org.api.get<{ nextCursor: string }>('/v1/ledger?limit=1')).json
  const stolen = await stranger.api.get(`/v1/ledger?cursor=${nextCursor}`)
  expectProblem(stolen, 400, 'invalid_request')
})

async function audit(...words: readonly string[]) {
  const { code, stdout, stderr } = await runCli(used.weir, ['audit', ...words])
  return { code, text: stdout + stderr }
}

test('the terminal exports the log, verifies it, and finds a flipped byte', async () => {
  const file = join(folder, 'log.ndjson')
  expect(await audit('export', file)).toMatchObject({ code: 0 })
  const good = await audit('verify', file)
  expect(good).toMatchObject({ code: 0 })
  const hash = /hash is ([0-9a-f]{64})/.exec(good.text)?.[1] ?? ''
  expect(await audit('verify', file, '--hash', hash)).toMatchObject({ code: 0 })
  expect(await audit('verify', file, '--hash', '0'.repeat(64))).toMatchObject({ code: 1 })

  const bytes = readFileSync(file)
  const at = bytes.indexOf(`"stream":"account-${org.orgId}","type":"CreditsGranted"`)
  bytes[bytes.lastIndexOf('"amountMicro":"', at) + 15]! ^= 1
  writeFileSync(file, bytes)
  const bad = await audit('verify', file)
  expect(bad.code).toBe(1)
  expect(bad.text).toMatch(new RegExp(`account-${org.orgId} revision \\d`))
})

test('the terminal folds the log from zero and finds the live read models', async () => {
  const { code, text } = await audit('replay')
  expect(text).toContain('No difference')
  expect(text).toContain('ledger_entry: ')
  expect(code).toBe(0)
})
