import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Recorded } from '../../../domain/catalog.ts'
import type { CheckpointMove } from '../../../domain/ports/read-model-store.ts'
import { jobQueue, jobQueueTable } from '../../../projections/job-queue.ts'
import { jobStatus, jobStatusTable } from '../../../projections/job-status.ts'
import { applyPage, knownEvents } from '../../../projections/page.ts'
import type { Projection } from '../../../projections/projection.ts'
import type { Loop } from '../../../workers/loop.ts'
import { projector } from '../../../workers/projector.ts'
import type { ProjectorOptions } from '../../../workers/projector.ts'
import { MemoryWeir } from '../../support/memory-weir.ts'
import { Life, type Call } from '../../support/mortal.ts'
import { noAlarm } from '../../support/recorded.ts'

const status = jobStatus(noAlarm)

let weir: MemoryWeir
let loops: Loop[]
let pages: (readonly Recorded[])[]

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  loops = []
  pages = []
})

afterEach(async () => {
  await Promise.all(loops.map((loop) => loop.stop(AbortSignal.abort())))
})

function startProjector(
  projections: readonly Projection[],
  life = new Life(),
  more: Partial<ProjectorOptions> = {},
): void {
  const { clock, report } = weir
  const loop = projector({
    ...{ feed: life.port(weir.newFeed()), store: life.port(weir.readModels), projections },
    ...{ clock, report },
    committed: (events) => void pages.push(events),
    ...more,
  })
  loops.push(loop)
  loop.start()
}

const checkpointOf = ({ name }: Projection) => weir.readModels.checkpoint(name, 1, 'live')

const idsIn = (table: typeof jobQueueTable | typeof jobStatusTable) =>
  weir.readModels.all(table).map((row) => row['jobId'])

async function submit(count: number): Promise<readonly string[]> {
  const jobIds: string[] = []
  for (let n = 0; n < count; n += 1) jobIds.push(await weir.submit('sandbox.run'))
  return jobIds
}

async function head(): Promise<string> {
  return await weir.newFeed().head()
}

describe('a projector', () => {
  test('carries what is in the log, and what comes later, into every read model', async () => {
    const before = await submit(3)
    startProjector([jobQueue, status])
    await weir.pass(0)
    expect(idsIn(jobStatusTable)).toEqual(before)
    const later = await submit(2)
    await weir.pass(0)
    expect(idsIn(jobStatusTable)).toEqual([...before, ...later])
    expect(idsIn(jobQueueTable)).toEqual([...before, ...later])
    expect(await checkpointOf(jobQueue)).toBe(await head())
    expect(await checkpointOf(status)).toBe(await head())
  })

  test('goes on where the last one stood', async () => {
    const first = await submit(2)
    startProjector([status])
    await weir.pass(0)
    await loops.pop()?.stop(AbortSignal.abort())
    const second = await submit(1)
    pages = []
    startProjector([status])
    await weir.pass(0)
    expect(idsIn(jobStatusTable)).toEqual([...first, ...second])
    expect(pages.flat().filter(({ type }) => type === 'JobSubmitted')).toHaveLength(1)
  })

  test('takes a long log in pages, and tells each one once it is committed', async () => {
    await submit(700)
    startProjector([status])
    await weir.pass(0)
    expect(pages.map((page) => page.length)).toEqual([1_000, 403])
    expect(idsIn(jobStatusTable)).toHaveLength(700)
  })

  test('tells of a page when its rows can be read', async () => {
    const read: unknown[] = []
    const committed = (events: readonly Recorded[]) => {
      if (events.some(({ type }) => type === 'JobSubmitted')) read.push(...idsIn(jobStatusTable))
    }
    startProjector([status], new Life(), { committed })
    const jobIds = await submit(1)
    await weir.pass(0)
    expect(read).toEqual(jobIds)
  })

  test('of a share of the log keeps a checkpoint of that share', async () => {
    const share = 'p7'
    const first = await submit(2)
    startProjector([status], new Life(), { share })
    await weir.pass(0)
    await loops.pop()?.stop(AbortSignal.abort())
    const { name } = status
    expect(await weir.readModels.checkpoint(name, 1, 'live', share)).toBe(await head())
    expect(await checkpointOf(status)).toBeNull()
    const second = await submit(1)
    pages = []
    startProjector([status], new Life(), { share })
    await weir.pass(1)
    expect(idsIn(jobStatusTable)).toEqual([...first, ...second])
    expect(pages.flat().filter(({ type }) => type === 'JobSubmitted')).toHaveLength(1)
    expect(weir.told).toEqual([])
  })

  test('passes over what changes no row, and stores at rest how far it came', async () => {
    const commits: (readonly CheckpointMove[])[] = []
    const life = new Life()
    life.before = ({ method, args }) => {
      if (method === 'commit') commits.push(args[0] as readonly CheckpointMove[])
      return null
    }
    startProjector([jobQueue], life)
    await weir.openOrg('globex', 100n)
    await weir.pass(0)
    expect(pages.flat().map(({ type }) => type)).toContain('AccountOpened')
    expect(commits).toEqual([])
    await weir.pass(1)
    expect(commits).toHaveLength(1)
    expect(await checkpointOf(jobQueue)).toBe(await head())
  })

  test('does nothing while there is nothing', async () => {
    startProjector([status])
    await weir.pass(10)
    const count = pages.length
    await weir.pass(10)
    expect(pages).toHaveLength(count)
    expect(weir.told).toEqual([])
  })
})

describe('a read model that lags', () => {
  test('catches up alone, then goes on with the others', async () => {
    const early = await submit(600)
    startProjector([jobQueue])
    await weir.pass(0)
    await loops.pop()?.stop(AbortSignal.abort())

    const commits: (readonly CheckpointMove[])[] = []
    const life = new Life()
    life.before = ({ method, args }) => {
      if (method === 'commit') commits.push(args[0] as readonly CheckpointMove[])
      return null
    }
    startProjector([jobQueue, status], life)
    await weir.pass(0)
    const late = await submit(1)
    await weir.pass(0)

    const names = commits.map((moves) => moves.map(({ name }) => name).join('+'))
    const together = 'job_queue+job_status'
    expect(names.slice(0, 3)).toEqual(['job_status', 'job_status', together])
    expect(new Set(names.slice(2))).toEqual(new Set([together]))
    expect(idsIn(jobStatusTable)).toEqual([...early, ...late])
    expect(idsIn(jobQueueTable)).toEqual([...early, ...late])
  })

  test('goes first, however positions are spelled', async () => {
    const carry = async (projection: Projection) => {
      startProjector([projection])
      await weir.pass(0)
      await loops.pop()?.stop(AbortSignal.abort())
    }
    const jobIds = [...(await submit(3))]
    await carry(jobQueue)
    jobIds.push(...(await submit(2)))
    await carry(status)
    expect([await checkpointOf(jobQueue), await checkpointOf(status)]).toEqual(['9', '13'])
    startProjector([jobQueue, status])
    await weir.pass(1)
    expect(idsIn(jobQueueTable)).toEqual(jobIds)
    expect(await checkpointOf(jobQueue)).toBe('13')
  })

  test('stops where the others stand, in the middle of a page', async () => {
    await submit(50)
    startProjector([jobQueue])
    await weir.pass(0)
    await loops.pop()?.stop(AbortSignal.abort())
    const stand = await checkpointOf(jobQueue)
    await submit(50)
    const moves: CheckpointMove[] = []
    const life = new Life()
    life.before = ({ method, args }) => {
      if (method === 'commit') moves.push(...(args[0] as readonly CheckpointMove[]))
      return null
    }
    startProjector([jobQueue, status], life)
    await weir.pass(0)
    expect(moves.map(({ name, from, to }) => ({ name, from, to }))).toEqual([
      { name: 'job_status', from: null, to: stand },
      { name: 'job_queue', from: stand, to: await head() },
      { name: 'job_status', from: stand, to: await head() },
    ])
    expect(idsIn(jobQueueTable)).toHaveLength(100)
    expect(idsIn(jobStatusTable)).toHaveLength(100)
  })
})

describe('trouble', () => {
  /** What another process does in one turn: it carries the log on, with rows of its own. */
  async function carryElsewhere(projections: readonly Projection[]): Promise<void> {
    const { readModels } = weir
    const from = await checkpointOf(projections[0]!)
    const { events, position: to } = await weir.newFeed().readPage(from ?? '0', 1_000)
    const rows = await applyPage(projections, knownEvents(events), readModels, 'live')
    const moves = projections.map(({ name }) => ({ name, version: 1, from, to }))
    await readModels.commit(moves, rows.changes(), 'live')
  }

  test('when another process was faster, it starts from where that one is', async () => {
    const life = new Life()
    let races = 2
    life.before = ({ method }) =>
      method === 'commit' && races-- > 0 ? carryElsewhere([jobQueue, status]) : null
    const jobIds = [...(await submit(2))]
    startProjector([jobQueue, status], life)
    await weir.pass(2)
    jobIds.push(...(await submit(1)))
    await weir.pass(2)
    jobIds.push(...(await submit(1)))
    await weir.pass(2)
    expect(idsIn(jobStatusTable)).toEqual(jobIds)
    expect(weir.readModels.all(jobQueueTable).map((row) => row['turn'])).toEqual([1, 2, 3, 4])
    expect(weir.told.map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'another process moves the read models'],
      ['warn', 'another process moves the read models'],
    ])
  })

  test('two at the same time leave the same rows as one', async () => {
    startProjector([jobQueue, status])
    startProjector([jobQueue, status])
    const jobIds: string[] = []
    for (let round = 0; round < 20; round += 1) {
      jobIds.push(...(await submit(3)))
      await weir.pass(0.1)
    }
    await weir.pass(5)
    expect(idsIn(jobStatusTable)).toEqual(jobIds)
    expect(idsIn(jobQueueTable)).toEqual(jobIds)
    const turns = weir.readModels.all(jobQueueTable).map((row) => row['turn'])
    expect(turns).toEqual(jobIds.map((_, n) => n + 1))
  })

  test('a store that fails is told and tried again', async () => {
    const life = new Life()
    let failures = 3
    life.before = ({ method }: Call) =>
      method === 'commit' && failures-- > 0 ? Promise.reject(new Error('disk full')) : null
    const jobIds = await submit(2)
    startProjector([status], life)
    await weir.pass(2)
    expect(idsIn(jobStatusTable)).toEqual(jobIds)
    expect(weir.told.map(({ err }) => (err as Error).message)).toEqual(
      Array.from({ length: 3 }, () => 'disk full'),
    )
  })

  test('an answer that was lost is not applied twice', async () => {
    const life = new Life()
    let lost = 2
    const commit = weir.readModels.commit.bind(weir.readModels)
    life.before = ({ method, args }) => {
      if (method !== 'commit' || lost-- <= 0) return null
      return commit(...(args as Parameters<typeof commit>)).then(() => {
        throw new Error('connection lost')
      })
    }
    const jobIds = await submit(3)
    startProjector([jobQueue, status], life)
    await weir.pass(3)
    const later = await submit(1)
    await weir.pass(3)
    expect(idsIn(jobQueueTable)).toEqual([...jobIds, ...later])
    expect(weir.readModels.all(jobQueueTable).map((row) => row['turn'])).toEqual([1, 2, 3, 4])
  })
})

describe('a long log', () => {
  const calls: string[] = []
  let life: Life

  beforeEach(() => {
    calls.length = 0
    life = new Life()
  })

  const isCommit = ({ method }: Call): boolean => method === 'commit'
  const submitsTold = (): number =>
    pages.flat().filter(({ type }) => type === 'JobSubmitted').length

  test('the next page is read while one is written, and written after it', async () => {
    let open = (): void => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    life.before = ({ method }) => {
      if (method === 'readPage' || method === 'commit') calls.push(method)
      return method === 'commit' && calls.filter((call) => call === 'commit').length === 1
        ? gate
        : null
    }
    const jobIds = await submit(6)
    startProjector([jobQueue, status], life, { pageEvents: 4 })
    await weir.pass(1)
    const since = calls.slice(calls.indexOf('commit'))
    const toldBefore = submitsTold()
    open()
    expect(since).toEqual(['commit', 'readPage'])
    expect(toldBefore).toBe(0)
    await weir.pass(1)
    expect(submitsTold()).toBe(6)
    expect(idsIn(jobStatusTable)).toEqual(jobIds)
    expect(weir.readModels.all(jobQueueTable).map((row) => row['turn'])).toEqual([1, 2, 3, 4, 5, 6])
  })

  test.each([1, 2, 3])('when page %d is not written, none after it is', async (failing) => {
    let commits = 0
    life.before = (call) => {
      if (!isCommit(call)) return null
      commits += 1
      return commits === failing ? Promise.reject(new Error('disk full')) : null
    }
    const jobIds = await submit(8)
    startProjector([jobQueue, status], life, { pageEvents: 4 })
    await weir.pass(2)
    expect(weir.told.map(({ err }) => (err as Error).message)).toEqual(['disk full'])
    expect(idsIn(jobStatusTable)).toEqual(jobIds)
    expect(weir.readModels.all(jobQueueTable).map((row) => row['turn'])).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8,
    ])
    expect(submitsTold()).toBe(8)
  })

  test('when a page cannot be read, the one before it is written once', async () => {
    let reads = 0
    life.before = ({ method }) => {
      if (method !== 'readPage') return null
      reads += 1
      return reads === 2 ? Promise.reject(new Error('no answer')) : null
    }
    const jobIds = await submit(8)
    startProjector([jobQueue, status], life, { pageEvents: 4 })
    await weir.pass(2)
    expect(weir.told.map(({ err }) => (err as Error).message)).toEqual(['no answer'])
    expect(idsIn(jobStatusTable)).toEqual(jobIds)
    expect(submitsTold()).toBe(8)
  })

  test('who stops waits for the page that is being written', async () => {
    let open = (): void => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    let [isStopped, stopped] = [false, Promise.resolve()]
    life.before = (call) => {
      if (!isCommit(call)) return null
      stopped = loops[0]!.stop(AbortSignal.abort()).then(() => void (isStopped = true))
      return gate
    }
    await submit(6)
    startProjector([status], life, { pageEvents: 4 })
    await weir.pass(1)
    const wasStopped = isStopped
    open()
    expect(wasStopped).toBe(false)
    await stopped
    expect(await checkpointOf(status)).not.toBeNull()
  })
})
