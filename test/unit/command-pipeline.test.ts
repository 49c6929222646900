import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { accountDecider } from '../../domain/account/account.ts'
import type { Account } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import { accountAggregate, openPipelines } from '../../domain/aggregates.ts'
import { isAccountEvent } from '../../domain/catalog.ts'
import { fold } from '../../domain/decider.ts'
import type { DomainEvent } from '../../domain/decider.ts'
import { DomainError } from '../../domain/errors.ts'
import { appendBytesMax, appendCountMax, readAll } from '../../domain/ports/event-store.ts'
import { expire, grant, hold, openAccount, settle } from '../support/account-history.ts'
import { moneyCommand } from '../support/arbitrary-commands.ts'
import { at, completeStep, endAttempt, jobSpec, start } from '../support/job-history.ts'
import { PipelineWorld, stream } from '../support/pipeline-world.ts'
import type { Fault, Writer } from '../support/pipeline-world.ts'

const poor = { code: 'insufficient_credits' }

/** A world whose account has `credits`, and a writer that has just seen it. */
async function openWorld(credits: bigint, overdraft = 0n) {
  const world = new PipelineWorld()
  const writer = world.writer()
  await writer.issue(openAccount(overdraft))
  if (credits > 0n) await writer.issue(grant('g0', credits))
  writer.store.appends.length = 0
  return { world, writer }
}

function outcomes(results: readonly PromiseSettledResult<unknown>[]) {
  const refusals = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  )
  return { accepted: results.length - refusals.length, refusals }
}

async function stateOf(world: PipelineWorld): Promise<Account> {
  const events: readonly DomainEvent[] = await readAll(world.store, stream, 0)
  return fold(accountDecider.evolve, accountDecider.initial, events.filter(isAccountEvent))
}

describe('a command', () => {
  test('becomes events that tell who caused them and why', async () => {
    const { world, writer } = await openWorld(0n)
    const context = { ...world.context(), traceparent: '00-1-2-01' }
    const handled = await writer.pipeline.handle(stream, grant('g1', 5n), context)
    expect(handled).toMatchObject({ revision: 1, state: { posted: 5n } })
    const [, event] = await world.store.read(stream, 0)
    const { commandId: causationId, ...rest } = context
    expect(event).toMatchObject({
      id: context.commandId,
      type: 'CreditsGranted',
      revision: 1,
      data: handled.events[0]?.data,
      meta: { ...rest, causationId, at: at(0), schema: 1 },
    })
  })

  test('that is already done writes nothing', async () => {
    const { world, writer } = await openWorld(10n)
    const handled = await writer.issue(grant('g0', 10n))
    expect(handled).toMatchObject({ events: [], revision: 1, state: { posted: 10n } })
    expect(world.types()).toHaveLength(2)
  })

  test('that is refused writes nothing', async () => {
    const { writer } = await openWorld(10n)
    await expect(writer.issue(hold('h1', 11n))).rejects.toMatchObject(poor)
    expect(writer.store.appends).toEqual([])
  })

  test('that meets a bug of weir is not taken for a refusal, and writes nothing', async () => {
    const { writer } = await openWorld(10n)
    await expect(writer.issue(grant('g1', 0n))).rejects.toThrow('a grant is positive')
    expect(writer.store.appends).toEqual([])
    await expect(writer.issue(grant('g1', 1n))).resolves.toMatchObject({ revision: 2 })
  })
})

describe('a command that begins a stream', () => {
  test('is decided without a look at the store', async () => {
    const world = new PipelineWorld()
    const writer = world.writer()
    await writer.issue(openAccount(0n))
    expect(writer.store.readsFrom).toEqual([])
    expect(world.types()).toEqual(['AccountOpened'])
  })

  test('is decided again when the stream is there already', async () => {
    const { world } = await openWorld(10n)
    const handled = await world.writer().issue(openAccount(0n))
    expect(handled).toMatchObject({ events: [], revision: 1, state: { posted: 10n } })
    expect(world.types()).toHaveLength(2)
  })
})

describe('commands that arrive together', () => {
  test('are one append, and each is answered for itself', async () => {
    const { writer } = await openWorld(100n)
    const commands = [
      hold('h1', 60n),
      hold('h2', 60n),
      hold('h1', 60n),
      grant('g1', 20n),
      hold('h2', 60n),
    ]
    const [first, refused, again, granted, second] = await Promise.allSettled(
      commands.map(writer.issue),
    )
    expect(writer.store.appends).toMatchObject([{ expected: 1, events: [{}, {}, {}] }])
    expect(first).toMatchObject({ value: { revision: 2, events: [{ type: 'CreditsHeld' }] } })
    expect(refused).toMatchObject({ reason: { ...poor, extra: { available: '40' } } })
    expect(again).toMatchObject({ value: { revision: 2, events: [] } })
    expect(granted).toMatchObject({ value: { revision: 3 } })
    expect(second).toMatchObject({ value: { revision: 4, state: { held: 120n } } })
  })

  test('are the next append when one is on its way', async () => {
    const { writer } = await openWorld(100n)
    const late: Promise<unknown>[] = []
    writer.store.meanwhile = () => {
      if (late.length === 0) late.push(writer.issue(hold('h2', 1n)), writer.issue(hold('h3', 1n)))
      return Promise.resolve()
    }
    await writer.issue(hold('h1', 1n))
    await Promise.all(late)
    expect(writer.store.appends.map(({ events }) => events.length)).toEqual([1, 2])
  })

  test('on different streams do not wait for each other', async () => {
    const { world, writer } = await openWorld(0n)
    let answer: unknown
    writer.store.meanwhile = async () => {
      writer.store.meanwhile = () => Promise.resolve()
      const other = { ...openAccount(), orgId: 'other' }
      answer = await writer.pipeline.handle('account-other', other, world.context())
    }
    await writer.issue(grant('g1', 1n))
    expect(answer).toMatchObject({ revision: 0 })
  })

  test('are appended in parts when they cause more events than one append takes', async () => {
    const { world, writer } = await openWorld(0n)
    const count = appendCountMax + 100
    for (let part = 0; part < count; part += 400) {
      const indexes = Array.from({ length: Math.min(400, count - part) }, (_, i) => part + i)
      const terms = { expiresAt: at(9) }
      await Promise.all(indexes.map((index) => writer.issue(grant(`e${index}`, 1n, terms))))
    }
    await Promise.all([1, 2, 3, 4].map(() => writer.issue(expire(at(9)))))
    expect((await stateOf(world)).posted).toBe(0n)
    const sizes = writer.store.appends.map(({ events }) => events.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(appendCountMax)
  })

  test('are appended in parts when their events are bigger than one append may be', async () => {
    const { world, writer } = await openWorld(0n)
    const reason = 'x'.repeat(appendBytesMax / 5)
    const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const handled = await Promise.all(ids.map((id) => writer.issue(grant(id, 1n, { reason }))))
    expect(handled.map(({ revision }) => revision)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect((await stateOf(world)).posted).toBe(7n)
  })

  test('of 500 holds on an account that can pay 120, exactly 120 are made', async () => {
    const { world, writer } = await openWorld(1_200n)
    const holds = Array.from({ length: 500 }, (_, index) => hold(`h${index}`, 10n))
    const { accepted, refusals } = outcomes(await Promise.allSettled(holds.map(writer.issue)))
    expect(accepted).toBe(120)
    expect(refusals).toHaveLength(380)
    for (const refusal of refusals) expect(refusal).toMatchObject(poor)
    expect(await stateOf(world)).toMatchObject({ held: 1_200n, posted: 1_200n })
  })

  test('of 500 holds over five writers, exactly the 120 that can be paid are made', async () => {
    const { world } = await openWorld(1_200n)
    const writers = Array.from({ length: 5 }, () => world.writer())
    const issued = Array.from({ length: 500 }, (_, index) =>
      writers[index % 5]!.issue(hold(`h${index}`, 10n)),
    )
    const { accepted, refusals } = outcomes(await world.until(Promise.allSettled(issued)))
    expect(accepted).toBe(120)
    for (const refusal of refusals) expect(refusal).toMatchObject(poor)
    expect((await stateOf(world)).held).toBe(1_200n)
  })
})

describe('another writer', () => {
  async function two(credits: bigint) {
    const { world, writer } = await openWorld(credits)
    const other = world.writer()
    await other.pipeline.load(stream)
    return { world, writer, other }
  }

  test('that was faster makes the command decide again', async () => {
    const { world, writer, other } = await two(100n)
    let hasRaced = false
    writer.store.read = async (name, from) => {
      const events = await world.store.read(name, from)
      if (!hasRaced) {
        hasRaced = true
        await other.issue(hold('h1', 60n))
      }
      return events
    }
    await expect(writer.issue(hold('h2', 60n))).rejects.toMatchObject(poor)
    expect(writer.observed.conflicts).toBe(1)
    await expect(writer.issue(hold('h3', 40n))).resolves.toMatchObject({ revision: 3 })
    expect(writer.observed).toEqual({ appended: 3, conflicts: 1 })
  })

  test('that granted in between is seen before a refusal is answered', async () => {
    const { writer, other } = await two(0n)
    await other.issue(grant('g1', 10n))
    await expect(writer.issue(hold('h1', 10n))).resolves.toMatchObject({ revision: 2 })
  })

  test('that held in between is seen before "already done" is answered', async () => {
    const { writer, other } = await two(10n)
    await other.issue(hold('h1', 10n))
    const handled = await writer.issue(settle('h1'))
    expect(handled.events).toMatchObject([{ type: 'HoldSettled' }])
  })

  test('that was heard of is seen without a look at the store', async () => {
    const { world, writer, other } = await two(10n)
    await other.issue(hold('h1', 6n))
    writer.store.heard = await readAll(world.store, stream, 0)
    writer.store.readsFrom.length = 0
    await expect(writer.issue(hold('h2', 4n))).resolves.toMatchObject({ revision: 3 })
    expect(writer.store.readsFrom).toEqual([])
    expect(writer.observed.conflicts).toBe(0)
  })

  test('that was not heard of yet is seen all the same', async () => {
    const { world, writer, other } = await two(10n)
    writer.store.heard = await readAll(world.store, stream, 0)
    await other.issue(hold('h1', 6n))
    await expect(writer.issue(hold('h2', 5n))).rejects.toMatchObject(poor)
    await expect(writer.issue(hold('h3', 4n))).resolves.toMatchObject({ revision: 3 })
    await other.issue(grant('g1', 1n))
    await expect(writer.issue(hold('h4', 1n))).resolves.toMatchObject({ revision: 5 })
    await other.issue(settle('h1'))
    await expect(writer.issue(settle('h1'))).resolves.toMatchObject({ events: [] })
    expect(writer.store.readsFrom.length).toBeGreaterThan(0)
  })

  /** Jobs are decided on what was last seen, without a reading: only an answer needs one. */
  async function twoWithJob() {
    const world = new PipelineWorld()
    const { store, snapshots, clock, ids } = world
    const observer = { appended: () => undefined, conflicted: () => undefined }
    const ports = { store, snapshots, clock, ids, observer }
    const [one, other] = [openPipelines(ports).jobs, openPipelines(ports).jobs]
    const spec = { ...jobSpec, attemptsMax: 5 }
    await one.handle('job-j1', { type: 'SubmitJob', spec }, world.context())
    return { world, one, other }
  }

  test('that started a job in between is seen before a refusal is answered', async () => {
    const { world, one, other } = await twoWithJob()
    await other.handle('job-j1', start(1), world.context())
    await one.handle('job-j1', completeStep('s1'), world.context())
    expect(world.types()).toEqual(['JobSubmitted', 'JobStarted', 'JobStepCompleted'])
  })

  test('that moved a job in between is seen before "already done" is answered', async () => {
    const { world, one, other } = await twoWithJob()
    await one.handle('job-j1', start(1), world.context())
    await one.handle('job-j1', endAttempt(1), world.context())
    await other.handle('job-j1', start(2), world.context())
    // What one has seen last is an attempt that has ended; now another one runs.
    const late = one.handle('job-j1', endAttempt(1), world.context())
    await expect(late).rejects.toMatchObject({ extra: { fenced: true } })
  })

  test('that cannot be read yet is waited for, longer and longer', async () => {
    const { world, writer, other } = await two(10n)
    await other.issue(hold('h1', 6n))
    const visibleAt = world.clock.now() + 10_000
    let reads = 0
    writer.store.read = async (name, from) => {
      reads += 1
      const events = await world.store.read(name, from)
      return world.clock.now() < visibleAt ? [] : events
    }
    await expect(world.until(writer.issue(hold('h2', 6n)))).rejects.toMatchObject(poor)
    expect(reads).toBeLessThan(200)
  })

  test('that wins every race does not keep the command for ever', async () => {
    const { world, writer, other } = await two(10_000n)
    let races = 0
    writer.store.read = async (name, from) => {
      const events = await world.store.read(name, from)
      await other.issue(hold(`race${races++}`, 1n))
      return events
    }
    writer.pipeline.forget(stream)
    const promise = world.until(writer.issue(hold('h1', 1n)))
    await expect(promise).rejects.toMatchObject({ code: 'unavailable' })
    expect(races).toBeLessThan(500)
  })
})

describe('an append whose outcome is unknown', () => {
  const cases: readonly (readonly [string, readonly (Fault | null)[]])[] = [
    ['was written', ['answer lost']],
    ['was not written', ['request lost']],
    ['was written in the end', ['request lost', 'request lost', 'answer lost', 'request lost']],
  ]
  test.each(cases)('is repeated with the same ids, and written once: it %s', async (_, faults) => {
    const { world, writer } = await openWorld(10n)
    writer.store.faults.push(...faults)
    const handled = await world.until(writer.issue(hold('h1', 4n)))
    expect(handled).toMatchObject({ revision: 2, state: { held: 4n } })
    expect(world.types()).toEqual(['AccountOpened', 'CreditsGranted', 'CreditsHeld'])
    expect(writer.store.appends).toHaveLength(faults.length + 1)
    for (const append of writer.store.appends) expect(append).toEqual(writer.store.appends[0])
  })

  test('is known as written although another writer went on from there', async () => {
    const { world, writer } = await openWorld(10n)
    const other = world.writer()
    writer.store.faults.push('answer lost')
    writer.store.meanwhile = async () => {
      writer.store.meanwhile = () => Promise.resolve()
      await other.issue(hold('h2', 6n))
    }
    const handled = await world.until(writer.issue(hold('h1', 4n)))
    expect(handled).toMatchObject({ revision: 2 })
    expect(await stateOf(world)).toMatchObject({ held: 10n })
    await expect(writer.issue(hold('h3', 1n))).rejects.toMatchObject(poor)
  })

  test('is decided again when it was not written and another writer was', async () => {
    const { world, writer } = await openWorld(10n)
    const other = world.writer()
    writer.store.faults.push('request lost')
    writer.store.meanwhile = async () => {
      writer.store.meanwhile = () => Promise.resolve()
      await other.issue(hold('h2', 7n))
    }
    await expect(world.until(writer.issue(hold('h1', 4n)))).rejects.toMatchObject(poor)
    expect(await stateOf(world)).toMatchObject({ held: 7n })
  })
})

describe('a store that cannot be reached', () => {
  test('makes a command unavailable, and the next one works', async () => {
    const { world, writer } = await openWorld(10n)
    writer.store.isDown = true
    const refused = world.until(writer.issue(hold('h1', 4n)))
    await expect(refused).rejects.toMatchObject({ code: 'unavailable' })
    writer.store.isDown = false
    await expect(writer.issue(hold('h1', 4n))).resolves.toMatchObject({ revision: 2 })
  })

  test('makes reading unavailable', async () => {
    const { writer } = await openWorld(10n)
    writer.store.isDown = true
    // Where the store is and what the driver says is for the log.
    const unavailable = { code: 'unavailable', message: 'The event store does not answer.' }
    await expect(writer.pipeline.load(stream)).rejects.toMatchObject(unavailable)
    await expect(writer.issue(grant('g0', 1n))).rejects.toMatchObject(unavailable)
  })

  test('that wrote without an answer does not make a later repetition write again', async () => {
    const { world, writer } = await openWorld(10n)
    writer.store.faults.push('answer lost', ...Array<Fault>(8).fill('request lost'))
    const refused = world.until(writer.issue(hold('h1', 4n)))
    await expect(refused).rejects.toMatchObject({ code: 'unavailable' })
    await expect(writer.issue(hold('h1', 4n))).resolves.toMatchObject({ events: [], revision: 2 })
  })
})

describe('the state', () => {
  test('at a glance is what was heard of, else it is read', async () => {
    const { world, writer } = await openWorld(10n)
    const fresh = world.writer()
    expect(await fresh.pipeline.glance(stream)).toMatchObject({ revision: 1 })
    expect(fresh.store.readsFrom).toEqual([0])
    const hearing = world.writer()
    hearing.store.heard = await readAll(world.store, stream, 0)
    await writer.issue(hold('h1', 4n))
    expect(await hearing.pipeline.glance(stream)).toMatchObject({ revision: 1 })
    expect(hearing.store.readsFrom).toEqual([])
    expect(await hearing.pipeline.load(stream)).toMatchObject({ revision: 2 })
  })

  test('is read from where it was last seen', async () => {
    const { world, writer } = await openWorld(10n)
    await world.writer().issue(hold('h1', 4n))
    writer.store.readsFrom.length = 0
    const loaded = await writer.pipeline.load(stream)
    expect(loaded).toMatchObject({ revision: 2, state: { held: 4n } })
    expect(writer.store.readsFrom).toEqual([2])
  })

  test('is read from the beginning when it was forgotten', async () => {
    const { writer } = await openWorld(10n)
    writer.pipeline.forget(stream)
    writer.store.readsFrom.length = 0
    expect(await writer.pipeline.load(stream)).toMatchObject({
      revision: 1,
      state: { posted: 10n },
    })
    expect(writer.store.readsFrom).toEqual([0])
  })

  test('of a stream that is not there is the initial one', async () => {
    const { pipeline } = new PipelineWorld().writer()
    expect(await pipeline.load(stream)).toEqual({ state: accountDecider.initial, revision: -1 })
  })

  test('passes over events that this version does not know, and counts them', async () => {
    const { world, writer } = await openWorld(10n)
    const [event] = await world.store.read(stream, 1)
    const id = world.ids.next()
    await world.store.append(stream, 1, [{ ...event!, id, type: 'AccountPainted' }])
    const handled = await writer.issue(hold('h1', 4n))
    expect(handled).toMatchObject({ revision: 3, state: { posted: 10n, held: 4n } })
  })

  test('of a long stream starts at a snapshot', async () => {
    const { world, writer } = await openWorld(10_000n)
    const { eventsUntil } = accountAggregate.snapshot!
    const every = eventsUntil(accountAggregate.decider.initial)
    for (let from = 0; from < every; from += 250) {
      const holds = Array.from({ length: 250 }, (_, index) => hold(`h${from + index}`, 1n))
      await Promise.all(holds.map(writer.issue))
    }
    const other = world.writer()
    const loaded = await other.pipeline.load(stream)
    expect(other.store.readsFrom[0]).toBeGreaterThan(every - 250)
    expect(loaded).toEqual(await writer.pipeline.load(stream))
    expect(loaded.state).toEqual(await stateOf(world))
  })

  test('is kept the more rarely the more there is to keep', async () => {
    const { world, writer } = await openWorld(10_000n)
    const saved: number[] = []
    const save = world.snapshots.save.bind(world.snapshots)
    world.snapshots.save = (name, version, snapshot) => {
      saved.push(snapshot.revision)
      return save(name, version, snapshot)
    }
    for (let from = 0; from < 9_000; from += 250) {
      const holds = Array.from({ length: 250 }, (_, index) => hold(`h${from + index}`, 1n))
      await Promise.all(holds.map(writer.issue))
    }
    expect(saved.map((revision) => Math.floor(revision / 1_000))).toEqual([2, 4, 8])
  })

  test('is folded from the beginning when the snapshot has another shape', async () => {
    const { world, writer } = await openWorld(10n)
    await writer.issue(hold('h1', 4n))
    const { version } = accountAggregate.snapshot!
    await world.snapshots.save(stream, version, { revision: 1, state: { posted: 7 } })
    const loaded = await world.writer().pipeline.load(stream)
    expect(loaded).toMatchObject({ revision: 2, state: { posted: 10n, held: 4n } })
  })

  test('has what was written before it was asked for, though a reading is under way', async () => {
    const { world, writer } = await openWorld(10n)
    const { pipeline, store } = world.writer()
    const read = store.read.bind(store)
    let answer = (): void => undefined
    store.read = async (...asked) => {
      const events = await read(...asked)
      await new Promise<void>((resolve) => (answer = resolve))
      return events
    }
    const first = pipeline.load(stream)
    await world.clock.advance(1)
    await writer.issue(hold('h1', 4n))
    const second = pipeline.load(stream)
    const stale = answer
    await world.clock.advance(1)
    stale()
    answer()
    expect((await first).revision).toBe(1)
    expect(await second).toMatchObject({ revision: 2, state: { held: 4n } })
  })

  test('is folded from the beginning when the snapshots cannot be read', async () => {
    const { world } = await openWorld(10n)
    world.snapshots.load = () => Promise.reject(new Error('down'))
    const loaded = await world.writer().pipeline.load(stream)
    expect(loaded).toMatchObject({ revision: 1, state: { posted: 10n } })
  })
})

test('over any faults and races every accepted command is written exactly once', async () => {
  const fault = fc.constantFrom<(Fault | null)[]>('answer lost', 'request lost', null, null)
  const script = fc.record({
    commands: fc.array(fc.tuple(moneyCommand, fc.nat(2)), { maxLength: 40, size: 'max' }),
    faults: fc.array(fc.array(fault, { maxLength: 5 }), { minLength: 3, maxLength: 3 }),
  })
  const property = fc.asyncProperty(script, async ({ commands, faults }) => {
    const { world } = await openWorld(100n, 20n)
    const writers = faults.map((each) => {
      const writer = world.writer()
      writer.store.faults.push(...each)
      return writer
    })
    const answers = await world.until(Promise.all(commands.map(issueOn(writers))))
    const events = await readAll(world.store, stream, 2)
    const answered = answers.flat()
    expect(events.map(({ revision }) => revision)).toEqual(events.map((_, index) => index + 2))
    expect(sorted(events.map(({ data }) => data))).toEqual(sorted(answered))
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length)
  })
  await fc.assert(property, { numRuns: 40 })
})

/** The data of the events that each command was answered with. */
function issueOn(writers: readonly Writer[]) {
  return async ([command, index]: readonly [AccountCommand, number]): Promise<
    readonly object[]
  > => {
    try {
      const handled = await writers[index]!.issue(command)
      return handled.events.map(({ data }) => data)
    } catch (error) {
      if (error instanceof DomainError) return []
      throw error
    }
  }
}

function sorted(data: readonly object[]): readonly string[] {
  return data.map((each) => JSON.stringify(each)).sort()
}
