// Replays a log into all read models, and rebuilds each, next to one ordered reading of that log:
//
//   npm run build && npx tsc -p bench/tsconfig.json --noCheck
//   node dist/bench/bench/replay.js [events]
//
// Together they are replayed as a projector carries them that begins at zero.
import type { EventFeed } from '../domain/ports/event-feed.ts'
import type { ReadModelStore } from '../domain/ports/read-model-store.ts'
import { PostgresEventFeed } from '../infra/postgres/event-feed.ts'
import { PostgresEventStore } from '../infra/postgres/event-store.ts'
import { PostgresListener } from '../infra/postgres/listener.ts'
import { openPool } from '../infra/postgres/pool.ts'
import { PostgresReadModelStore } from '../infra/postgres/read-model-store.ts'
import { SystemClock } from '../infra/system/clock.ts'
import type { Projection } from '../projections/projection.ts'
import { projections } from '../projections/registry.ts'
import { projector } from '../workers/projector.ts'
import { rebuild } from '../workers/rebuild.ts'
import { cleanUp, cleanUpAtAnyEnd, onCleanup } from './cleanup.ts'
import { writeHistory } from './history.ts'
import { migrate, startPostgres } from './postgres.ts'
import { cpuSeconds } from './processes.ts'
import { workFolder } from './work-folder.ts'

const eventCount = Number(process.argv[2] ?? 200_000)
const pageEvents = 1_000

type Run = { readonly events: number; readonly seconds: number; readonly cpu: string }

async function measure(work: () => Promise<number>): Promise<Run> {
  const before = cpu()
  const startedMs = performance.now()
  const events = await work()
  const seconds = (performance.now() - startedMs) / 1_000
  const after = cpu()
  const micros = (part: string): string =>
    ((((after.get(part) ?? 0) - (before.get(part) ?? 0)) * 1e6) / events).toFixed(1)
  return { events, seconds, cpu: `node ${micros('node')} µs, postgres ${micros('postgres')} µs` }
}

function cpu(): ReadonlyMap<string, number> {
  return cpuSeconds(process.pid, (title) => (/postgres/.test(title) ? 'postgres' : 'node'))
}

async function readAlone(feed: EventFeed): Promise<number> {
  let count = 0
  for (let from = feed.start; ;) {
    const { events, position } = await feed.readPage(from, pageEvents)
    if (position === from) return count
    count += events.length
    from = position
  }
}

/** By the loop that projectors run. */
async function replay(
  feed: EventFeed,
  store: ReadModelStore,
  readModels: readonly Projection[],
): Promise<number> {
  const head = await feed.head()
  let count = 0
  await new Promise<void>((resolve) => {
    const loop = projector({
      ...{ feed, store, projections: readModels, clock: new SystemClock() },
      report: (_level, fields, message) => {
        process.stderr.write(`${message} ${JSON.stringify(fields)}\n`)
      },
      committed: (events) => {
        count += events.length
        if (events.at(-1)?.position === head) resolve(loop.stop(AbortSignal.abort()))
      },
    })
    loop.start()
  })
  return count
}

function line(name: string, { events, seconds, cpu: used }: Run): string {
  const rate = (events / seconds).toFixed(0).padStart(8)
  return `${name.padEnd(20)}${rate} events/s; CPU per event: ${used}\n`
}

async function main(): Promise<void> {
  const folder = workFolder()
  const { url } = await startPostgres(folder)
  migrate(url, folder)
  const pool = openPool(url, { max: 4, applicationName: 'weir-bench' })
  const listener = new PostgresListener(url, 'weir-bench')
  onCleanup('connections', async () => {
    await listener.close()
    await pool.end()
  })
  await writeHistory(new PostgresEventStore(pool), eventCount)
  const newFeed = (): EventFeed => new PostgresEventFeed(pool, listener)
  const readModels = projections({ publicUrl: 'http://weir.test', alarm: () => undefined })
  // The first reading warms up and does not count.
  await readAlone(newFeed())
  const raw = await measure(() => readAlone(newFeed()))
  const rows = new PostgresReadModelStore(pool)
  const replayed = await measure(() => replay(newFeed(), rows, readModels))
  const ratio = replayed.events / replayed.seconds / (raw.events / raw.seconds)
  process.stdout.write(`${line('read', raw)}${line('replay', replayed)}`)
  process.stdout.write(`replay / read = ${ratio.toFixed(2)}, ${String(raw.events)} events\n`)
  for (const projection of readModels.filter(({ rebuildable }) => rebuildable)) {
    const store = new PostgresReadModelStore(pool)
    const rebuilt = await measure(async () => {
      await rebuild({ feed: newFeed(), store, projection, report: () => undefined })
      return raw.events
    })
    process.stdout.write(line(`rebuild ${projection.name}`, rebuilt))
  }
}

cleanUpAtAnyEnd()
try {
  await main()
} finally {
  await cleanUp()
}
