import { describe, expect, test } from '@jest/globals'
import type { RecordedEvent } from '../../../domain/envelope.ts'
import { canonical } from '../../../domain/ledger/canonical.ts'
import type { JsonObject } from '../../../domain/json.ts'
import { MemoryEventFeed } from '../../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../../infra/memory/event-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { ledger, ledgerHeadTable } from '../../../projections/ledger.ts'
import { exportLog } from '../../../workers/audit/export-log.ts'
import { lineHash } from '../../../workers/audit/log-file.ts'
import type { AuditRoot } from '../../../workers/audit/root.ts'
import { verifyExport } from '../../../workers/audit/verify-export.ts'
import * as account from '../../support/account-history.ts'
import * as job from '../../support/job-history.ts'
import { noAlarm, ProjectedRows, Recorder } from '../../support/recorded.ts'

/** Two orgs and a job, their events between each other; one text has all that JSON can escape. */
function recordedEvents(): readonly RecordedEvent[] {
  const recorder = new Recorder()
  const money = (reason: string) =>
    account.historyOf(
      account.openAccount(),
      account.grant('g1', 100n, { reason }),
      account.hold('h1', 50n),
      account.use('u1', 'h1', 20n),
      account.settle('h1'),
    )
  const acme = money('quote " slash \\ NUL \u0000 half \ud800 whole 😀 é \u2028').map((event) =>
    recorder.account(event),
  )
  const zoo = money('bought').map((event) => recorder.account(event, 'zoo'))
  const submitted = { type: 'JobSubmitted', data: job.jobSpec } as const
  const work = [recorder.job('j1', submitted)]
  return [acme[0]!, zoo[0]!, ...work, ...acme.slice(1, 4), ...zoo.slice(1), acme[4]!]
}

async function exported(events: readonly RecordedEvent[]): Promise<Buffer> {
  const log = new MemoryEventLog()
  const store = new MemoryEventStore(log)
  for (const { stream, revision, position: _, recordedAt: __, ...event } of events) {
    await store.append(stream, revision - 1, [event])
  }
  let text = ''
  const feed = new MemoryEventFeed(log, new SimulatedClock())
  await exportLog(feed, async (piece) => void (text += piece))
  return Buffer.from(text)
}

/** The file in pieces whose ends fall anywhere. */
async function* pieces(file: Buffer, bytes = 97): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += bytes) yield file.subarray(at, at + bytes)
}

const verify = (file: Buffer) => verifyExport(pieces(file))
const events = recordedEvents()
const linesOf = (file: Buffer): string[] => file.toString().split('\n').slice(0, -1)
const fileOf = (lines: readonly string[]): Buffer => Buffer.from(`${lines.join('\n')}\n`)
const nameOf = (event: RecordedEvent) => ({ stream: event.stream, revision: event.revision })

describe('an exported log', () => {
  test('is found good, whatever the size of the pieces that it is read in', async () => {
    const file = await exported(events)
    const verdict = await verify(file)
    expect(verdict).toMatchObject({ events: events.length, streams: 3, bad: null })
    expect(await verifyExport(pieces(file, 1))).toEqual(verdict)
    expect(await verifyExport(pieces(file, 1e9))).toEqual(verdict)
  })

  test('ends each chain where the ledger of that account ends', async () => {
    const { accounts } = await verify(await exported(events))
    const rows = new ProjectedRows(ledger(noAlarm))
    await rows.page(events as Parameters<typeof rows.page>[0])
    const heads = rows.store.all(ledgerHeadTable).map(({ orgId, revision, hash }) => {
      return { stream: `account-${orgId as string}`, revision, hash }
    })
    expect(accounts.toSorted((a, b) => (a.stream < b.stream ? -1 : 1))).toEqual(heads)
  })

  test('of nothing is good too', async () => {
    expect(await verify(await exported([]))).toMatchObject({ events: 0, accounts: [], bad: null })
  })
})

describe('in an exported log', () => {
  test('any flipped bit is found, and the event that it is in is named', async () => {
    const file = await exported(events)
    const lines = linesOf(file)
    let start = 0
    for (const [index, text] of lines.entries()) {
      const end = start + Buffer.byteLength(text)
      for (let at = start; at < end; at += 7) {
        const flipped = Buffer.from(file)
        flipped[at]! ^= 1 << (at % 8)
        const { bad } = await verify(flipped)
        const event = events[index - 1]
        // A flip that makes a line break tears the line in two; the first half is the bad one.
        expect(bad).toMatchObject({
          line: index + 1,
          ...(event && flipped[at] !== 10 ? nameOf(event) : {}),
        })
      }
      start = end + 1
    }
  })

  test('a flipped line break is found', async () => {
    const file = await exported(events)
    for (let at = file.indexOf(10); at !== -1; at = file.indexOf(10, at + 1)) {
      const flipped = Buffer.from(file)
      flipped[at] = 11
      expect((await verify(flipped)).bad).not.toBeNull()
    }
  })

  test('any missing event is found and named', async () => {
    const lines = linesOf(await exported(events))
    for (const [index, event] of events.entries()) {
      const { bad } = await verify(fileOf(lines.toSpliced(index + 1, 1)))
      expect(bad).toMatchObject({ n: index, line: index + 2, ...nameOf(event) })
      expect(bad?.what).toBe('The event is missing, or stands in another place.')
    }
  })

  test('several missing events are counted', async () => {
    const lines = linesOf(await exported(events))
    const { bad } = await verify(fileOf(lines.toSpliced(3, 2)))
    expect(bad).toMatchObject({ n: 2, line: 4 })
    expect(bad?.what).toMatch(/^2 events are missing before this line; the last of them is acc/)
  })

  test('swapped and repeated events are found', async () => {
    const lines = linesOf(await exported(events))
    for (const index of [1, 4, 8]) {
      const [one, two] = [lines[index]!, lines[index + 1]!]
      const swapped = await verify(fileOf(lines.toSpliced(index, 2, two, one)))
      expect(swapped.bad).toMatchObject({ line: index + 1, ...nameOf(events[index - 1]!) })
      const repeated = await verify(fileOf(lines.toSpliced(index + 1, 0, one)))
      expect(repeated.bad).toMatchObject({ line: index + 2, ...nameOf(events[index - 1]!) })
    }
  })

  test('a torn end is found', async () => {
    const file = await exported(events)
    const lines = linesOf(file)
    expect((await verify(fileOf(lines.slice(0, -1)))).bad?.what).toMatch(/^The file ends early/)
    expect((await verify(file.subarray(0, file.length - 1))).bad).not.toBeNull()
    expect((await verify(Buffer.alloc(0))).bad?.what).toMatch(/^The file ends early/)
    expect((await verify(fileOf([...lines, '{}']))).bad?.what).toMatch(/^Something follows/)
    expect((await verify(fileOf(lines.slice(1)))).bad).toMatchObject({ line: 1, n: null })
  })

  test('an event that was changed together with its hash is found by what follows', async () => {
    const lines = linesOf(await exported(events))
    const { hash: _, ...line } = JSON.parse(lines[5]!) as JsonObject
    const forged = { ...line, data: { ...(line['data'] as JsonObject), amountMicro: '9' } }
    const text = canonical({ ...forged, hash: lineHash(forged) })
    const { bad } = await verify(fileOf(lines.with(5, text)))
    expect(bad).toMatchObject(nameOf(events[4]!))
    expect(bad?.what).toBe('The chain of its account is broken.')
  })

  test('a file that was forged whole has another hash', async () => {
    const good = await verify(await exported(events))
    const forgedEvents = events.map((event, at) =>
      at === 4 ? { ...event, meta: { ...event.meta, actor: 'nobody' } } : event,
    )
    const forged = await verify(await exported(forgedEvents))
    expect(forged.bad).toBeNull()
    expect(forged.hash).not.toBe(good.hash)
    expect(forged.accounts).not.toEqual(good.accounts)
  })
})

describe('held against the root of a day, an exported log', () => {
  async function rootOf(file: Buffer): Promise<AuditRoot> {
    const { accounts } = await verify(file)
    return { day: '2026-01-01', at: '2026-01-01T00:00:10.000Z', accounts, prev: 'x', hash: 'y' }
  }

  test('is good when it has all of it, and whatever came later', async () => {
    const root = await rootOf(await exported(events.slice(0, 6)))
    expect(await verifyExport(pieces(await exported(events)), root)).toMatchObject({ bad: null })
  })

  test('is bad where it was changed and given a new chain', async () => {
    const root = await rootOf(await exported(events))
    const at = events.findIndex(
      ({ stream, revision }) => stream === 'account-zoo' && revision === 1,
    )
    const changed = events.with(at, { ...events[at]!, meta: { ...events[at]!.meta, actor: 'me' } })
    const { bad } = await verifyExport(pieces(await exported(changed)), root)
    expect(bad).toMatchObject({ stream: 'account-zoo', revision: 4 })
    expect(bad?.what).toBe('Up to here it is not what the root of 2026-01-01 has.')
  })

  test('is bad when its end was cut off', async () => {
    const root = await rootOf(await exported(events))
    const { bad } = await verifyExport(pieces(await exported(events.slice(0, -1))), root)
    expect(bad).toMatchObject({ stream: 'account-acme', revision: 4 })
    expect(bad?.what).toBe('The file lacks it, the root of 2026-01-01 has it.')
  })
})
