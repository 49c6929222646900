import { expect, test } from '@jest/globals'
import type { AuditView } from '../../src/queries/list-audit.ts'
import { expectProblem, expectStatus, sandbox } from '../support/client.ts'
import type { Org, Page } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const used = useWeir()
const path = '/v1/admin/audit'

/** What an operator does to an org, in this order. */
async function administrate({ orgId, api }: Org): Promise<void> {
  const of = (act: string) => `/v1/admin/orgs/${orgId}/${act}`
  const adjustment = { amount: '-500000', reason: 'a mistake' }
  expectStatus(await used.admin.post(of('adjustments'), adjustment), 201)
  const limits = [{ scope: 'org', kind: 'requests', window: 'minute', max: 60 }]
  const body = { limits, reason: 'plan S' }
  expectStatus(await used.admin.call('PUT', of('limits'), { body }), 200)
  expectStatus(await used.admin.post(of('ban'), { reason: 'fraud' }), 200)
  expectStatus(await used.admin.post(of('reinstate'), { reason: 'no fraud' }), 200)
  const fail = { atStep: 1, times: 1, retryable: false }
  const job = await api.run(sandbox({ fail }))
  expectStatus(await used.admin.post(`/v1/admin/jobs/${job.jobId}/retry`), 202)
  await api.finished(job)
}

const list = async (query: string) => await used.admin.all<AuditView>(`${path}?${query}`)

async function entriesOf({ orgId }: Org, count: number): Promise<readonly AuditView[]> {
  return await waitFor(`${count} acts`, async () => {
    const entries = await list(`orgId=${orgId}`)
    return entries.length >= count ? entries : undefined
  })
}

test('who did what, why, before and after, is listed newest first', async () => {
  const before = new Date(Date.now() - 1).toISOString()
  const org = await used.newOrg({ credits: 1_000_000n })
  await administrate(org)
  const entries = await entriesOf(org, 8)
  expect(entries.map(({ action }) => action)).toEqual([
    ...['job.retried', 'account.reinstated', 'account.banned', 'limits.set', 'credits.revoked'],
    ...['credits.granted', 'key.issued', 'org.created'],
  ])
  expect(new Set(entries.map(({ actor }) => actor))).toEqual(new Set(['admin:owner']))
  expect(new Set(entries.map(({ orgId }) => orgId))).toEqual(new Set([org.orgId]))
  expect(entries[4]).toMatchObject({
    ...{ details: { amount: '500000' }, reason: 'a mistake' },
    ...{ before: { posted: '1000000' }, after: { posted: '500000' } },
  })
  expect(entries[2]).toMatchObject({
    ...{ reason: 'fraud', before: { status: 'active' }, after: { status: 'banned' } },
  })
  expect(entries[3]).toMatchObject({ before: { limits: [] }, reason: 'plan S' })
  const times = entries.map(({ at }) => at)
  expect(times).toEqual(times.toSorted().toReversed())

  expect(await list(`orgId=${org.orgId}&from=${before}`)).toEqual(entries)
  expect(await list(`orgId=${org.orgId}&to=${before}`)).toEqual([])
  const inPages = await used.admin.all<AuditView>(`${path}?orgId=${org.orgId}`, 3)
  expect(inPages).toEqual(entries)
})

test('what belongs to no org is listed without one', async () => {
  const all = await waitFor('the first prices', async () => {
    const entries = await list('')
    return entries.some(({ action }) => action === 'prices.published') ? entries : undefined
  })
  const alone = all.filter(({ orgId }) => orgId === null)
  expect(alone.map(({ action, actor }) => [action, actor])).toEqual(
    expect.arrayContaining([
      ['prices.published', 'system:bootstrap'],
      ['operator.registered', 'system:bootstrap'],
    ]),
  )
})

test('the list is closed to organisations and to nobody in particular', async () => {
  const { api } = await used.newOrg()
  expectProblem(await api.get(path), 403, 'forbidden')
  expectProblem(await used.nobody.get(path), 401, 'unauthenticated')
  for (const query of ['from=yesterday', 'cursor=x', 'limit=0']) {
    expectProblem(await used.admin.get(`${path}?${query}`), 400, 'invalid_request')
  }
  const page = await used.admin.get<Page<AuditView>>(`${path}?orgId=nobody`)
  expect(expectStatus(page, 200)).toEqual({ items: [], nextCursor: null })
})
