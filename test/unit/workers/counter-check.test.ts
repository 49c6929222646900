import { expect, test } from '@jest/globals'
import type { Recorded } from '../../../domain/catalog.ts'
import { MemoryEventFeed } from '../../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../../infra/memory/event-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { LogCounters } from '../../../src/metrics/log-counters.ts'
import type { JobFacts } from '../../../src/metrics/log-counters.ts'
import { parseMetrics } from '../../../src/metrics/parse.ts'
import { Series } from '../../../src/metrics/registry.ts'
import { checkCounters } from '../../../workers/invariants/counter-check.ts'
import * as account from '../../support/account-history.ts'
import * as job from '../../support/job-history.ts'
import { Recorder } from '../../support/recorded.ts'

/** Jobs that succeed, fail, are tried again, and are canceled while they wait for that. */
function story(recorder: Recorder, names: readonly string[]): readonly Recorded[] {
  return names.flatMap((name) => {
    const use = [account.openAccount(), account.grant('g', 999n), account.hold(name, 90n)]
    const money = account.historyOf(...use, account.use(`u-${name}`, name, 20n))
    const retried = job.retryScheduled(1)
    const events = [job.submitted({ jobId: name }), job.started(1), retried]
    const end = { attempt: 1, holdId: name, finishedAt: job.at(30) }
    return [
      ...money.map((event) => recorder.account(event, name)),
      ...events.map((event) => recorder.job(name, event)),
      recorder.job(name, { type: 'JobCanceled', data: end }),
    ]
  })
}

async function exported(counted: readonly Recorded[], older: readonly Recorded[]): Promise<string> {
  const series = new Series()
  const facts = (id: string): readonly [string, JobFacts] => {
    return [id, { jobType: 'image.upscale', queuedAt: job.at(0), readyAt: null }]
  }
  const counters = new LogCounters(series, {
    jobTypes: ['image.upscale'],
    compare: (a, b) => Number(a) - Number(b),
    findJobs: async (ids) => new Map(ids.map(facts)),
  })
  counters.begin('', older.at(-1)?.position ?? '0')
  for (let at = 0; at < counted.length; at += 3) await counters.count('', counted.slice(at, at + 3))
  return await series.text()
}

async function wrong(text: string, events: readonly Recorded[]): Promise<readonly string[]> {
  const log = new MemoryEventLog()
  const store = new MemoryEventStore(log)
  for (const { stream, revision, position: _, recordedAt: __, ...event } of events) {
    await store.append(stream, revision - 1, [event])
  }
  const found: string[] = []
  const feed = new MemoryEventFeed(log, new SimulatedClock())
  await checkCounters(feed, parseMetrics(text), (_invariant, subject, detail) => {
    found.push(`${subject}: ${detail}`)
  })
  return found
}

test('counters of the whole log, and of its end alone, agree with it', async () => {
  const events = story(new Recorder(), ['j1', 'j2', 'j3'])
  for (const from of [0, 3, 5, 6, 7, 11, events.length]) {
    const text = await exported(events.slice(from), events.slice(0, from))
    expect(await wrong(text, events)).toEqual([])
  }
})

test.each([
  ['weir_jobs_total{job_type="image.upscale",outcome="canceled",error_code="none"} 2', '3'],
  ['weir_job_attempts_total{job_type="image.upscale",reason="error"} 2', '1'],
  ['weir_provider_units_total{provider="local",model="none",unit="megapixels"} 24', '23'],
  ['weir_job_e2e_seconds_count{job_type="image.upscale"} 2', '4'],
  ['weir_events_counted_total 16', '17'],
])('a counter that is not what the log says is named: %s', async (line, other) => {
  const events = story(new Recorder(), ['j1', 'j2'])
  const text = await exported(events, [])
  expect(text).toContain(`${line}\n`)
  const changed = text.replace(line, line.replace(/\d+$/, other))
  const [first] = await wrong(changed, events)
  expect(first).toContain(line.slice(0, line.search(/[{ ]/)))
})
