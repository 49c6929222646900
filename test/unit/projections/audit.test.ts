import { expect, test } from '@jest/globals'
import type { AccountCommand } from '../../../domain/account/account-commands.ts'
import type { Recorded, WeirEvent } from '../../../domain/catalog.ts'
import { audit, auditActions, auditEntryTable } from '../../../projections/audit.ts'
import type { AuditEntryRow } from '../../../projections/audit.ts'
import * as a from '../../support/account-history.ts'
import * as job from '../../support/job-history.ts'
import { ProjectedRows, Recorder } from '../../support/recorded.ts'

const recorder = new Recorder()

function events(...commands: readonly AccountCommand[]): readonly Recorded[] {
  return a.historyOf(...commands).map((event) => recorder.account(event))
}

async function rowsOf(...all: readonly Recorded[]): Promise<readonly AuditEntryRow[]> {
  const rows = await new ProjectedRows(audit).pages(all)
  return rows.store.all(auditEntryTable) as unknown as readonly AuditEntryRow[]
}

/** What the last of the commands leaves in the list. */
async function entryOf(...commands: readonly AccountCommand[]) {
  return (await rowsOf(...events(...commands))).at(-1)
}

/** An event of the installation, by an operator. */
function ofInstallation(stream: string, event: WeirEvent): Recorded {
  const [first] = events(a.openAccount())
  const meta = { ...first!.meta, orgId: 'weir', actor: 'admin:owner' }
  return { ...first!, ...event, stream, id: `${stream}-1`, meta }
}

const byOperator = (event: Recorded): Recorded => ({
  ...event,
  meta: { ...event.meta, actor: 'admin:owner' },
})

test('tells who did what, why, and the balance before and after', async () => {
  const [opened, granted] = events(a.openAccount(), a.grant('g1', 100n))
  expect(await rowsOf(opened!, byOperator(granted!))).toEqual([
    expect.objectContaining({ action: 'org.created', after: { name: 'Acme', overdraft: '0' } }),
    {
      ...{ auditId: granted!.id, orgId: 'acme', at: granted!.meta.at, actor: 'admin:owner' },
      ...{ action: 'credits.granted', reason: 'bought' },
      details: {
        ...{ grantId: 'g1', kind: 'purchase', amount: '100' },
        ...{ priority: 100, expiresAt: null },
      },
      ...{ before: { posted: '0' }, after: { posted: '100' } },
    },
  ])
  expect(await entryOf(a.openAccount(), a.grant('g1', 100n), a.adjust('a1', -30n))).toMatchObject({
    ...{ action: 'credits.revoked', details: { amount: '30' }, reason: 'goodwill' },
    ...{ before: { posted: '100' }, after: { posted: '70' } },
  })
})

test('tells how limits and standing were, and are', async () => {
  const limits = [a.limit()]
  expect(await entryOf(a.openAccount(), a.setLimits(limits))).toMatchObject({
    ...{ action: 'limits.set', reason: 'plan', before: { limits: [] }, after: { limits } },
  })
  const slow = { requestsPerMinute: 3, until: null }
  const throttled = [a.openAccount(), a.throttle(3)]
  expect(await entryOf(...throttled)).toMatchObject({
    action: 'account.throttled',
    before: { status: 'active', throttle: null },
    after: { status: 'throttled', throttle: slow },
  })
  expect(await entryOf(...throttled, a.ban)).toMatchObject({
    ...{ action: 'account.banned', reason: 'fraud' },
    before: { status: 'throttled', throttle: slow },
    after: { status: 'banned', throttle: slow },
  })
  expect(await entryOf(a.openAccount(), a.ban, a.throttle(3))).toMatchObject({
    ...{ action: 'account.throttled', before: { status: 'banned', throttle: null } },
    after: { status: 'banned', throttle: slow },
  })
  expect(await entryOf(...throttled, a.ban, a.reinstate)).toMatchObject({
    action: 'account.reinstated',
    before: { status: 'banned', throttle: slow },
    after: { status: 'active', throttle: null },
  })
})

test('tells of keys without their secrets', async () => {
  const rows = await rowsOf(...events(a.openAccount(), a.issueKey('k1'), a.revokeKey('k1')))
  expect(rows.map(({ action }) => action)).toEqual(['org.created', 'key.issued', 'key.revoked'])
  expect(JSON.stringify(rows)).not.toContain(a.apiKey('k1').secretSha256)
})

test('tells of what belongs to no org', async () => {
  const registeredAt = job.at(1)
  const owner = { operatorId: 'owner', email: 'owner@weir.test', role: 'owner' } as const
  const price = { provider: 'sandbox', model: null, unit: 'requests' }
  const prices = [{ ...price, costPicoUsd: '0', pricePicoCredits: '1' }]
  const rows = await rowsOf(
    ofInstallation('operators', {
      type: 'OperatorRegistered',
      data: { ...owner, tokenSha256: 'ef'.repeat(32), registeredAt },
    }),
    ofInstallation('price-book', {
      type: 'PricePublished',
      data: { version: 2, effectiveAt: job.at(2), prices, previous: [], reason: 'list' },
    }),
  )
  expect(rows).toMatchObject([
    { orgId: null, action: 'operator.registered', after: { role: 'owner' } },
    { orgId: null, action: 'prices.published', before: { prices: [] }, after: { prices } },
  ])
  expect(JSON.stringify(rows)).not.toContain('efef')
})

test('tells of retries by operators, not of those by the org itself', async () => {
  const retried = recorder.job('j1', job.requeued(1))
  expect(await rowsOf(retried)).toEqual([])
  expect(await rowsOf(byOperator(retried))).toMatchObject([
    {
      ...{ orgId: 'acme', action: 'job.retried', details: { jobId: 'j1' }, reason: null },
      ...{ before: { status: 'failed' }, after: { status: 'queued' } },
    },
  ])
})

test('does not know what events of earlier versions did not say', async () => {
  const [opened, granted] = events(a.openAccount(), a.grant('g1', 100n))
  const isNew = (name: string) => name.startsWith('posted')
  const text = JSON.stringify(granted, (name, value: unknown) => (isNew(name) ? undefined : value))
  const old = JSON.parse(text) as Recorded
  expect((await rowsOf(opened!, old)).at(-1)).toMatchObject({ before: null, after: null })
})

test('may see every event twice, and passes over what nobody decided', async () => {
  const all = events(
    ...[a.openAccount(), a.grant('g1', 100n), a.hold('h1', 60n), a.use('u1', 'h1', 55n)],
    ...[a.settle('h1'), a.registerEndpoint('e1')],
  )
  const once = await new ProjectedRows(audit).pages(all)
  const twice = await new ProjectedRows(audit).pages(all, all)
  expect(twice.everything()).toEqual(once.everything())
  const rows = await rowsOf(...all)
  expect(rows.map(({ action }) => action)).toEqual(['org.created', 'credits.granted'])
  expect(auditActions).toEqual(expect.arrayContaining(rows.map(({ action }) => action)))
})
