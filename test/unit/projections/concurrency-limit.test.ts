import { expect, test } from '@jest/globals'
import { accountStream } from '../../../domain/account/account.ts'
import { projector } from '../../../workers/projector.ts'
import { concurrencyLimit, concurrencyLimitTable } from '../../../projections/concurrency-limit.ts'
import * as a from '../../support/account-history.ts'
import { at } from '../../support/job-history.ts'
import { leaseMs, MemoryWeir } from '../../support/memory-weir.ts'
import { ProjectedRows, Recorder } from '../../support/recorded.ts'

test('a limit is in force for jobs submitted after it, however late the books are', async () => {
  const weir = await new MemoryWeir().open()
  const { clock, readModels: store, report } = weir
  // As in the projector role: the queue has a projector of its own. Here it is the only one.
  const ofQueue = projector({
    ...{ feed: weir.newFeed(), store, clock, report, committed: () => undefined },
    projections: weir.projections.filter(({ order }) => order === 'log'),
  })
  ofQueue.start()
  const limits = a.setLimits([a.limit({ kind: 'concurrency', window: null, max: 1 })])
  await weir.pipelines.accounts.handle(accountStream('acme'), limits, weir.context('acme'))
  for (let n = 0; n < 3; n += 1) await weir.submit('sandbox.run')
  await weir.pass(1)
  const claim = { owner: 'w1', jobTypes: ['sandbox.run'], limit: 9, now: clock.now(), leaseMs }
  expect((await weir.leases.claim(claim)).leases).toHaveLength(1)
  await ofQueue.stop(AbortSignal.abort())
})

test('a row has what claims obey, and is there as long as anything limits them', async () => {
  const recorder = new Recorder()
  const rows = new ProjectedRows(concurrencyLimit)
  const requests = a.limit({ scope: 'org', kind: 'requests', window: 'minute', max: 1 })
  const each = { scope: 'user', key: null, kind: 'concurrency', window: null } as const
  const jobs = a.limit({ ...each, max: '7', until: at(90) })
  const [, both, one] = a
    .historyOf(a.openAccount(), a.setLimits([requests, jobs]), a.setLimits([requests]))
    .map((event) => recorder.account(event))
  await rows.page([both!])
  expect(rows.store.all(concurrencyLimitTable)).toEqual([
    { orgId: 'acme', limits: [{ scope: 'user', key: null, max: 7, until: at(90) }] },
  ])
  await rows.page([one!])
  expect(rows.store.all(concurrencyLimitTable)).toEqual([])
})
