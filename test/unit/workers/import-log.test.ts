import { describe, expect, test } from '@jest/globals'
import type { CarriedEvent, RecordedEvent } from '../../../domain/envelope.ts'
import { EventStore, NO_STREAM, UnknownOutcome } from '../../../domain/ports/event-store.ts'
import { MemoryEventFeed } from '../../../infra/memory/event-feed.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../../infra/memory/event-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { exportLog } from '../../../workers/audit/export-log.ts'
import { importLog, ImportRefused } from '../../../workers/audit/import-log.ts'
import { verifyExport } from '../../../workers/audit/verify-export.ts'
import * as account from '../../support/account-history.ts'
import * as job from '../../support/job-history.ts'
import { Recorder } from '../../support/recorded.ts'

/** Two orgs and jobs between each other; texts have all that JSON can escape. */
function history(): readonly RecordedEvent[] {
  const recorder = new Recorder()
  const money = (reason: string) =>
    account.historyOf(
      account.openAccount(),
      account.grant('g1', 100n, { reason }),
      account.hold('h1', 50n),
      account.use('u1', 'h1', 20n),
      account.settle('h1'),
    )
  const acme = money('quote " NUL \u0000 half \ud800 😀').map((event) => recorder.account(event))
  const zoo = money('bought').map((event) => recorder.account(event, 'zoo'))
  const submitted = { type: 'JobSubmitted', data: job.jobSpec } as const
  const work = ['j1', 'j2', 'j3'].map((jobId) => recorder.job(jobId, submitted))
  return [acme[0]!, zoo[0]!, ...work, ...acme.slice(1, 4), ...zoo.slice(1), acme[4]!]
}

class Log {
  readonly log = new MemoryEventLog()
  readonly store: EventStore = new MemoryEventStore(this.log)
  readonly clock = new SimulatedClock()
  readonly newFeed = () => new MemoryEventFeed(this.log, this.clock)

  async exported(): Promise<Buffer> {
    let text = ''
    await exportLog(this.newFeed(), async (piece) => void (text += piece))
    return Buffer.from(text)
  }

  /** @param store through which it writes */
  async import(file: Buffer, store = this.store) {
    const over = new AbortController()
    const running = importLog({
      ...{ store, newFeed: this.newFeed, clock: this.clock, progress: () => undefined },
      open: async function* () {
        for (let at = 0; at < file.length; at += 97) yield file.subarray(at, at + 97)
      },
    }).finally(() => over.abort())
    running.catch(() => undefined)
    while (!over.signal.aborted) await this.clock.advance(1_000)
    return await running
  }
}

async function written(): Promise<Log> {
  const source = new Log()
  for (const { stream, revision, position: _, ...event } of history()) {
    const recordedAt = `2020-01-01T00:00:0${revision}.123Z`
    await source.store.append(stream, revision - 1, [{ ...event, recordedAt }])
  }
  return source
}

/** Loses answers of appends, before or after they are carried out, or stops after some of them. */
class BadLine extends EventStore {
  readonly #store: EventStore
  #appends = 0
  readonly stopAfter: number

  constructor(store: EventStore, stopAfter = Infinity) {
    super()
    this.#store = store
    this.stopAfter = stopAfter
  }

  override async append(stream: string, expected: number, events: readonly CarriedEvent[]) {
    this.#appends += 1
    if (this.#appends > this.stopAfter) throw new Error('killed')
    if (this.#appends % 3 === 0) throw new UnknownOutcome('lost before')
    const revision = await this.#store.append(stream, expected, events)
    if (this.#appends % 3 === 1) throw new UnknownOutcome('lost after')
    return revision
  }

  override read(stream: string, from: number) {
    return this.#store.read(stream, from)
  }
}

describe('an import', () => {
  test('carries ids, order, times and chains into an empty log', async () => {
    const source = await written()
    const target = new Log()
    const file = await source.exported()
    const count = history().length
    expect(await target.import(file)).toEqual({ events: count, wereThere: 0 })
    const again = await target.exported()
    expect(again).toEqual(file)
    expect((await verifyExport(stream(again))).bad).toBeNull()
  })

  test('over a bad line writes each event once', async () => {
    const source = await written()
    const target = new Log()
    const file = await source.exported()
    await target.import(file, new BadLine(target.store))
    expect(await target.exported()).toEqual(file)
  })

  test.each([0, 1, 2, 5, 8])('interrupted after %d appends goes on there', async (appends) => {
    const source = await written()
    const target = new Log()
    const file = await source.exported()
    const killed = target.import(file, new BadLine(target.store, appends))
    await expect(killed).rejects.toThrow('killed')
    const wereThere = target.log.events.length
    expect(await target.import(file)).toMatchObject({ wereThere })
    expect(await target.import(file)).toMatchObject({ wereThere: history().length })
    expect(await target.exported()).toEqual(file)
  })

  test('into a log that has something else is refused and writes nothing', async () => {
    const file = await (await written()).exported()
    const target = new Log()
    const [other] = history()
    const { id, type, data, meta } = other!
    await target.store.append('elsewhere', NO_STREAM, [{ id, type, data, meta }])
    await expect(target.import(file)).rejects.toBeInstanceOf(ImportRefused)
    expect(target.log.events).toHaveLength(1)
  })

  test('into a log that went on is refused', async () => {
    const source = await written()
    const target = new Log()
    const file = await source.exported()
    await target.import(file)
    const { id, type, data, meta } = history()[0]!
    await target.store.append('elsewhere', NO_STREAM, [{ id, type, data, meta }])
    await expect(target.import(file)).rejects.toThrow('elsewhere@0, is not in the file')
  })

  test('beside somebody who writes is refused', async () => {
    const source = await written()
    const target = new Log()
    const file = await source.exported()
    const meddler = new BadLine(target.store, 2)
    await target.import(file, meddler).catch(() => undefined)
    const next = source.log.events[target.log.events.length]!
    const { type, data, meta } = history()[0]!
    const store = new (class extends MemoryEventStore {
      override async append(name: string, expected: number, events: readonly CarriedEvent[]) {
        if (name === next.stream && expected === next.revision - 1) {
          const id = '00000000-0000-4000-8000-00000000000f'
          await super.append(name, expected, [{ id, type, data, meta }])
        }
        return await super.append(name, expected, events)
      }
    })(target.log)
    await expect(target.import(file, store)).rejects.toThrow('somebody else writes')
  })
})

async function* stream(file: Buffer): AsyncGenerator<Uint8Array> {
  yield file
}
