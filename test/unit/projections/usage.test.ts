import { expect, test } from '@jest/globals'
import { usage, usageEntryTable } from '../../../projections/usage.ts'
import * as account from '../../support/account-history.ts'
import { at } from '../../support/job-history.ts'
import { ProjectedRows, Recorder } from '../../support/recorded.ts'

const history = account.historyOf(
  account.openAccount(),
  account.grant('g1', 100n),
  account.hold('h1', 50n),
  account.use('u1', 'h1', 20n),
  account.use('u2', 'h1', 7n),
  account.settle('h1'),
)

test('each provider call is one row, for ever, with all that it cost', async () => {
  const recorder = new Recorder()
  const rows = new ProjectedRows(usage)
  await rows.page(history.map((event) => recorder.account(event)))
  const call = {
    ...{ orgId: 'acme', jobId: 'h1', jobType: 'image.upscale', userId: null, provider: 'local' },
    ...{ model: null, units: { megapixels: '12' }, ms: 30, costNanoUsd: '7', priceVersion: 1 },
    ...{ isPriced: true, calledAt: at(3) },
  }
  expect(rows.store.all(usageEntryTable)).toEqual([
    { usageId: 'u1', chargedMicro: '20', ...call },
    { usageId: 'u2', chargedMicro: '7', ...call },
  ])
})

test('a call that is seen twice is one row', async () => {
  const recorder = new Recorder()
  const events = history.map((event) => recorder.account(event))
  const once = await new ProjectedRows(usage).pages(events)
  const twice = await new ProjectedRows(usage).pages(events, [...events, ...events])
  expect(twice.everything()).toEqual(once.everything())
})
