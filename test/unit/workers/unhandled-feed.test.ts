import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Recorded } from '../../../domain/catalog.ts'
import type { RecordedEvent } from '../../../domain/envelope.ts'
import { keyOf as keyOfRow } from '../../../domain/ports/read-model-store.ts'
import { keyOf, partitionOf } from '../../../infra/kafka/partition-of.ts'
import { jobStatus, jobStatusTable } from '../../../projections/job-status.ts'
import { webhookOutbox, webhookOutboxTable } from '../../../projections/webhook-outbox.ts'
import { projector } from '../../../workers/projector.ts'
import { unhandledFeed } from '../../../workers/unhandled-feed.ts'
import { MemoryWeir } from '../../support/memory-weir.ts'
import { noAlarm } from '../../support/recorded.ts'

const projections = [jobStatus(noAlarm), webhookOutbox('http://weir.test')]
const webhook = { url: 'https://shop.test/hook', events: null }

let weir: MemoryWeir
let stops: (() => Promise<void>)[]

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  stops = []
})

afterEach(async () => {
  await Promise.all(stops.map((stop) => stop()))
})

/** As Kafka names its partitions. */
const isIn = (share: string, event: RecordedEvent): boolean => {
  const [partition, partitions = NaN] = share.split('/').map(Number)
  return partitionOf(keyOf(event), partitions) === partition
}

/** Carries all shares of a log that is divided into so many, once; gives back what was told. */
async function carry(shares: number): Promise<readonly Recorded[]> {
  const told: Recorded[] = []
  const { readModels: store, clock, report } = weir
  for (let partition = 0; partition < shares; partition += 1) {
    const share = `${partition}/${shares}`
    const whole = weir.newFeed()
    const readPage = whole.readPage.bind(whole)
    whole.readPage = async (after, limit) => {
      const page = await readPage(after, limit)
      return { ...page, events: page.events.filter((event) => isIn(share, event)) }
    }
    const feed = await unhandledFeed({ feed: whole, partitions: { isIn }, store, projections })
    const committed = (events: readonly Recorded[]): void => void told.push(...events)
    const loop = projector({ feed, share, store, projections, clock, report, committed })
    loop.start()
    stops.push(() => loop.stop(AbortSignal.abort()))
  }
  await weir.pass(1)
  await Promise.all(stops.splice(0).map((stop) => stop()))
  return told
}

const submitted = (events: readonly Recorded[]): readonly string[] =>
  events.flatMap(({ type, stream }) => (type === 'JobSubmitted' ? [stream.slice(4)] : []))

/** As housekeeping does it after a month. */
async function forgetDeliveries(): Promise<void> {
  const rows = weir.readModels.all(webhookOutboxTable)
  const remove = rows.map((row) => keyOfRow(webhookOutboxTable, row))
  await weir.readModels.commit([], [{ table: webhookOutboxTable, put: [], remove }], 'live')
}

describe('a log that is divided anew', () => {
  test('is not handled a second time: no webhook is sent again that was forgotten', async () => {
    await weir.openOrg('globex', 1_000_000_000n)
    const first = await weir.submit('sandbox.run', { webhook })
    const second = await weir.submit('sandbox.run', { webhook, orgId: 'globex' })
    await weir.cancel(first)
    expect(submitted(await carry(1))).toEqual([first, second])
    expect(weir.readModels.all(webhookOutboxTable)).not.toEqual([])
    await forgetDeliveries()
    const rows = weir.readModels.all(jobStatusTable)
    expect(await carry(5)).toEqual([])
    expect(weir.readModels.all(webhookOutboxTable)).toEqual([])
    expect(weir.readModels.all(jobStatusTable)).toEqual(rows)
  })

  test('goes on with what came later, also when it is divided as it was before', async () => {
    const first = await weir.submit('sandbox.run')
    await carry(2)
    const second = await weir.submit('sandbox.run')
    expect(submitted(await carry(3))).toEqual([second])
    const third = await weir.submit('sandbox.run')
    expect(submitted(await carry(2))).toEqual([third])
    const known = weir.readModels.all(jobStatusTable).map((row) => row['jobId'])
    expect(known).toEqual([first, second, third])
  })

  test('is handled where a former share had not come to its end', async () => {
    await weir.openOrg('globex', 1_000_000_000n)
    await carry(2)
    const missed = await weir.submit('sandbox.run')
    const orgs = await weir.submit('sandbox.run', { orgId: 'globex' })
    expect([...submitted(await carry(3))].sort()).toEqual([missed, orgs].sort())
    expect(await carry(2)).toEqual([])
  })
})
