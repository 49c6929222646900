import { randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import { operatorsStream, type OperatorRole } from '../../domain/operators/operators.ts'
import { newAdminToken } from '../../src/http/credentials.ts'
import type { OrgView } from '../../src/queries/admin-lists.ts'
import { Client, expectProblem, expectStatus, sandbox } from '../support/client.ts'
import { testContext, withPipelines } from '../support/direct-pipelines.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const nobodysOrg = '01900000-0000-7000-8000-000000000000'
const pictures = {
  ...{ provider: 'weir', model: null, unit: 'images' },
  ...{ costUsd: '0', priceCredits: '0.05' },
}

interface OrgDetails {
  readonly orgId: string
  readonly name: string
  readonly balance: { readonly posted: string; readonly held: string; readonly available: string }
  readonly grants: readonly { readonly grantId: string; readonly remaining: string }[]
  readonly keys: readonly { readonly keyId: string; readonly name: string }[]
}

/** Prices are the same for all orgs; others would pay those that are published here. */
const used = useWeir({ isOwn: true })

async function details(orgId: string): Promise<OrgDetails> {
  return expectStatus(await used.admin.get<OrgDetails>(`/v1/admin/orgs/${orgId}`), 200)
}

function stepPrice(priceCredits: string) {
  return { provider: 'sandbox', model: null, unit: 'requests', costUsd: '0.002', priceCredits }
}

async function publish(priceCredits: string, effectiveAt: string | null = null): Promise<number> {
  const body = { prices: [stepPrice(priceCredits), pictures], effectiveAt, reason: 'test' }
  const answer = await used.admin.call<{ version: number }>('PUT', '/v1/admin/prices', { body })
  return expectStatus(answer, 200).version
}

test('an org is opened, listed and shown with its money and its keys', async () => {
  const body = { name: 'Ärger & Söhne', overdraft: '500' }
  const created = await used.admin.post<{ orgId: string }>('/v1/admin/orgs', body)
  const { orgId } = expectStatus(created, 201)
  expect(created.json).toMatchObject({ name: body.name, status: 'active' })
  expect(orgId).toMatch(/^[0-9a-f-]{14}-?7/)
  const path = `/v1/admin/orgs/${orgId}`
  const grant = { amount: '1000', kind: 'purchase', reason: 'order 17' }
  const { grantId } = expectStatus(
    await used.admin.post<{ grantId: string }>(`${path}/grants`, grant),
    201,
  )
  const key = await used.admin.post<{ keyId: string; apiKey: string }>(`${path}/keys`, {
    name: 'a',
  })
  const { keyId, apiKey } = expectStatus(key, 201)

  const shown = await used.admin.get<OrgDetails>(path)
  expect(shown.json).toMatchObject({
    ...{ orgId, name: body.name, status: 'active' },
    balance: { posted: '1000', held: '0', available: '1500', overdraft: '500' },
    grants: [{ grantId, remaining: '1000' }],
    keys: [{ keyId, name: 'a' }],
  })
  expect(shown.text).not.toContain(apiKey.split('_')[3])
  expect(shown.text).not.toMatch(/secret|sha256/i)
  const listed = await waitFor('it to be listed', async () => {
    const orgs = await used.admin.all<OrgView>('/v1/admin/orgs')
    return orgs.find((org) => org.orgId === orgId && org.posted === '1000')
  })
  expect(listed).toMatchObject({ name: body.name, available: '1500' })
})

test('an org that does not exist is not found, whatever is asked of it', async () => {
  const grant = { amount: '1', kind: 'promo', reason: 'x' }
  for (const orgId of [nobodysOrg, 'x', '%00', nobodysOrg.toUpperCase(), `${nobodysOrg}x`]) {
    const path = `/v1/admin/orgs/${orgId}`
    const answers = [
      await used.admin.get(path),
      await used.admin.post(`${path}/keys`, {}),
      await used.admin.call('DELETE', `${path}/keys/x`),
      await used.admin.post(`${path}/grants`, grant),
      await used.admin.post(`${path}/adjustments`, { amount: '1', reason: 'x' }),
    ]
    for (const answer of answers) expectProblem(answer, 404, 'not_found')
  }
  const jobs = `/v1/admin/jobs/${nobodysOrg}/retry`
  expectProblem(await used.admin.post(jobs), 404, 'not_found')
})

test('an adjustment gives and takes, and moves exactly its amount', async () => {
  const { orgId, api } = await used.newOrg({ credits: 1_000n })
  const path = `/v1/admin/orgs/${orgId}/adjustments`
  for (const amount of ['-400', '250']) {
    const answer = await used.admin.post(path, { amount, reason: 'a mistake' })
    expect(expectStatus(answer, 201)).toMatchObject({ orgId, amount, reason: 'a mistake' })
  }
  expect((await details(orgId)).balance).toMatchObject({ posted: '850', available: '850' })
  await waitFor('the balance', async () => (await api.balance()).posted === '850')
  for (const amount of ['0', '-0', '1.5', '1e3', '', ' 1', 'x', 250, `1${'0'.repeat(30)}`]) {
    expectProblem(await used.admin.post(path, { amount, reason: 'x' }), 400, 'invalid_request')
  }
  expectProblem(await used.admin.post(path, { amount: '1' }), 400, 'invalid_request')
  expect((await details(orgId)).balance.posted).toBe('850')
})

test('credits that expire are gone, and what burns first is what ends first', async () => {
  const { orgId, api } = await used.newOrg({ credits: 100_000n })
  const expiresAt = new Date(Date.now() + 2_500).toISOString()
  const grant = { amount: '50000', kind: 'promo', reason: 'a week free', expiresAt }
  expectStatus(await used.admin.post(`/v1/admin/orgs/${orgId}/grants`, grant), 201)
  await api.run(sandbox({ steps: 2 }))
  await api.billed(150_000n, 2)
  expect((await details(orgId)).grants.map(({ remaining }) => remaining)).toEqual([
    '30000',
    '100000',
  ])
  await waitFor('the rest to expire', async () => (await api.balance()).posted === '100000', 20_000)
  expect((await details(orgId)).grants.map(({ remaining }) => remaining)).toEqual(['100000'])
})

test('grants that make no sense are refused', async () => {
  const { orgId } = await used.newOrg({ credits: 0n })
  const path = `/v1/admin/orgs/${orgId}/grants`
  const good = { amount: '1', kind: 'promo', reason: 'x' }
  const bad = [
    { ...good, amount: '-1' },
    { ...good, amount: '0' },
    { ...good, amount: '01' },
    { ...good, kind: 'gift' },
    { ...good, reason: '' },
    { ...good, priority: -1 },
    { ...good, expiresAt: 'soon' },
    { ...good, surplus: true },
  ]
  for (const body of bad) expectProblem(await used.admin.post(path, body), 400, 'invalid_request')
  expect((await details(orgId)).balance.posted).toBe('0')
})

test('two keys live side by side; a revoked one is gone from the list', async () => {
  const { orgId, keyId, api } = await used.newOrg()
  const path = `/v1/admin/orgs/${orgId}/keys`
  const second = await used.admin.post<{ keyId: string; apiKey: string }>(path, { name: 'new' })
  const rotated = new Client(used.weir.baseUrl, expectStatus(second, 201).apiKey)
  for (const client of [api, rotated]) expectStatus(await client.get('/v1/balance'), 200)
  expect((await used.admin.call('DELETE', `${path}/${keyId}`)).status).toBe(204)
  expectProblem(await api.get('/v1/balance'), 401, 'unauthenticated')
  expectStatus(await rotated.get('/v1/balance'), 200)
  expect((await details(orgId)).keys.map((key) => key.keyId)).toEqual([second.json.keyId])
  const again = await used.admin.call('DELETE', `${path}/${keyId}`)
  expect([204, 404]).toContain(again.status)
})

test('a job keeps the price of its submission; a later one pays the new price', async () => {
  const { api } = await used.newOrg({ credits: 1_000_000n })
  const runAt = new Date(Date.now() + 1_500).toISOString()
  const early = await api.submit(sandbox({ steps: 2 }, { runAt }))
  const version = await publish('0.03')
  const late = await api.submit(sandbox({ steps: 2 }))
  expect([early.credits.held, late.credits.held]).toEqual(['20000', '60000'])
  await Promise.all([api.finished(early), api.finished(late)])
  const { usage } = await api.billed(1_000_000n, 4)
  const paid = (job: JobView) =>
    usage
      .filter(({ jobId }) => jobId === job.jobId)
      .map(({ chargedMicro, priceVersion }) => [chargedMicro, priceVersion])
  expect(paid(early)).toEqual([
    ['10000', version - 1],
    ['10000', version - 1],
  ])
  expect(paid(late)).toEqual([
    ['30000', version],
    ['30000', version],
  ])
  const costs = usage.filter(({ jobId }) => jobId === late.jobId)
  expect(costs.map(({ costNanoUsd }) => costNanoUsd)).toEqual(['2000000', '2000000'])
})

test('a price takes effect when it says, and what costs nothing runs without credits', async () => {
  const { api } = await used.newOrg({ credits: 0n })
  const before = await publish('0.01')
  await publish('0', new Date(Date.now() + 1_500).toISOString())
  expectProblem(await api.post('/v1/jobs', sandbox()), 402, 'insufficient_credits')
  const job = await waitFor('the price to be in force', async () => {
    const answer = await api.post<JobView>('/v1/jobs', sandbox())
    return answer.status === 202 ? answer.json : undefined
  })
  expect(job.credits.held).toBe('0')
  expect(await api.finished(job)).toMatchObject({ status: 'succeeded' })
  const { usage } = await api.billed(0n, 2)
  expect(usage.map(({ priceVersion }) => priceVersion)).toEqual([before + 1, before + 1])

  interface Prices {
    readonly items: readonly { readonly version: number; readonly prices: readonly object[] }[]
  }
  const { items } = expectStatus(await used.admin.get<Prices>('/v1/admin/prices'), 200)
  expect(items.map((item) => item.version)).toEqual(items.map((_, index) => items.length - index))
  expect(items[0]?.prices).toContainEqual(expect.objectContaining({ priceCredits: '0' }))
  await publish('0.01')
})

/** An operator of another role, made by the command that a console would use. */
async function operator(role: OperatorRole): Promise<Client> {
  const { token, secretSha256 } = newAdminToken(role, (count) => randomBytes(count))
  const registered = { email: `${role}@example.test`, role, registeredAt: '2026-01-01T00:00:00Z' }
  const person = { operatorId: role, tokenSha256: secretSha256, ...registered }
  await withPipelines(used.weir, async ({ operators }) => {
    const command = { type: 'RegisterOperator' as const, operator: person }
    await operators.handle(operatorsStream, command, testContext('weir'))
  })
  return new Client(used.weir.baseUrl, token)
}

test('each role may do what it is there for, and nothing beyond', async () => {
  const { orgId, api } = await used.newOrg()
  const fail = { atStep: 1, times: 99, retryable: false }
  const { jobId } = await api.run(sandbox({ fail }))
  const org = `/v1/admin/orgs/${orgId}`
  const grant = { amount: '1', kind: 'promo', reason: 'x' }
  const acts: readonly (readonly [OperatorRole, string, string, unknown?])[] = [
    ['viewer', 'GET', '/v1/admin/orgs'],
    ['viewer', 'GET', org],
    ['viewer', 'GET', '/v1/admin/holds'],
    ['viewer', 'GET', '/v1/admin/jobs'],
    ['viewer', 'GET', '/v1/admin/prices'],
    ['support', 'POST', `${org}/keys`, {}],
    ['support', 'DELETE', `${org}/keys/x`],
    ['support', 'POST', `/v1/admin/jobs/${jobId}/retry`],
    ['finance', 'POST', `${org}/grants`, grant],
    ['finance', 'POST', `${org}/adjustments`, { amount: '1', reason: 'x' }],
    ['finance', 'PUT', '/v1/admin/prices', { prices: [stepPrice('0.01'), pictures] }],
    ['owner', 'POST', '/v1/admin/orgs', { name: 'x' }],
  ]
  const ranks: readonly OperatorRole[] = ['viewer', 'support', 'finance', 'owner']
  for (const role of ranks) {
    const client = role === 'owner' ? used.admin : await operator(role)
    for (const [needed, method, path, body] of acts) {
      const answer = await client.call(method, path, body === undefined ? {} : { body })
      if (ranks.indexOf(role) < ranks.indexOf(needed)) expectProblem(answer, 403, 'forbidden')
      else expect({ role, path, status: answer.status }).not.toMatchObject({ status: 403 })
    }
  }
  await api.finished({ jobId })
})

test('a token that was not issued, or has another role in it, is refused', async () => {
  const { adminToken } = used.weir.dev
  const forged = [
    `${adminToken}x`,
    adminToken.replace('owner', 'root'),
    adminToken.replace('weir_admin', 'weir_live'),
    newAdminToken('owner', (count) => new Uint8Array(count)).token,
    newAdminToken('viewer', (count) => new Uint8Array(count)).token,
  ]
  for (const token of forged) {
    const answer = await new Client(used.weir.baseUrl, token).get('/v1/admin/orgs')
    expectProblem(answer, 401, 'unauthenticated')
  }
})
