import { describe, expect, test } from '@jest/globals'
import type { RecordedEvent } from '../../../domain/envelope.ts'
import { MemoryEventFeed } from '../../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryReadModelStore } from '../../../infra/memory/read-model-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { jobStatus, jobStatusTable } from '../../../projections/job-status.ts'
import { applyPage, knownEvents, pageUntil, PageRows } from '../../../projections/page.ts'
import { projections } from '../../../projections/registry.ts'
import { usageEntryTable } from '../../../projections/usage.ts'
import * as job from '../../support/job-history.ts'
import { noAlarm, Recorder } from '../../support/recorded.ts'

const changedTables = (rows: PageRows) => rows.changes().map(({ table }) => table.name)

describe('the rows of a page', () => {
  test('are loaded once per table, each key once, and never for an append-only table', async () => {
    const store = new MemoryReadModelStore()
    const loads: (readonly string[])[] = []
    const load = store.load.bind(store)
    store.load = (table, keys, generation) => {
      loads.push([table.name, ...keys])
      return load(table, keys, generation)
    }
    const rows = new PageRows()
    const refs = ['j1', 'j2', 'j1'].map((key) => ({ table: jobStatusTable, key }))
    await rows.load(store, [...refs, { table: usageEntryTable, key: 'u1' }], 'live')
    await rows.load(store, refs, 'live')
    expect(loads).toEqual([['job_status', 'j1', 'j2']])
  })

  test('that were written are the change, as they are at the end of the page', async () => {
    const recorder = new Recorder()
    const events = [job.submitted(), job.started(1), job.succeeded].map((event) =>
      recorder.job('j1', event),
    )
    const store = new MemoryReadModelStore()
    const rows = await applyPage([jobStatus(noAlarm)], events, store, 'live')
    const [change, ...others] = rows.changes()
    expect(others).toEqual([])
    expect(change?.put).toMatchObject([{ jobId: 'j1', status: 'succeeded', revision: 2 }])
    expect(change?.remove).toEqual([])
  })

  test('that came and went within the page are removed', async () => {
    const recorder = new Recorder()
    const events = [...job.histories.succeeded].map((event) => recorder.job('j1', event))
    const store = new MemoryReadModelStore()
    const all = projections({ alarm: noAlarm, publicUrl: 'https://weir.test' })
    const rows = await applyPage(all, events, store, 'live')
    const queue = rows.changes().find(({ table }) => table.name === 'job_queue')
    expect(queue).toMatchObject({ put: [], remove: ['j1'] })
  })

  test('that were only read are no change', async () => {
    const recorder = new Recorder()
    const events = [recorder.job('j1', job.abandoned)]
    const rows = await applyPage([jobStatus(noAlarm)], events, new MemoryReadModelStore(), 'live')
    expect(changedTables(rows)).toEqual([])
  })
})

test('events of a newer version of weir are passed over', () => {
  const known = new Recorder().job('j1', job.submitted())
  const unknown = { ...known, type: 'JobTeleported' } as unknown as RecordedEvent
  const inherited = { ...known, type: 'toString' } as unknown as RecordedEvent
  expect(knownEvents([known, unknown, inherited])).toEqual([known])
})

describe('a page that is cut', () => {
  const feed = new MemoryEventFeed(new MemoryEventLog(), new SimulatedClock())
  const recorder = new Recorder()
  const events = [job.submitted(), job.started(1), job.succeeded].map((event) =>
    recorder.job('j1', event),
  )
  const page = { events, position: '3' }

  test('ends where it was told to', () => {
    expect(pageUntil(page, '2', feed)).toEqual({ events: events.slice(0, 2), position: '2' })
  })

  test('stays whole when it ends earlier', () => {
    expect(pageUntil(page, '3', feed)).toEqual(page)
    expect(pageUntil(page, '12', feed)).toEqual(page)
  })
})
