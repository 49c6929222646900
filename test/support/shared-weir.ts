import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { requireBuilt } from './build.ts'
import { clusterEngines } from './cluster-engines.ts'
import { cloneDatabase } from './database.ts'
import { onceInRun, type RunPlace } from './once-in-run.ts'
import { waitFor } from './wait-for.ts'
import { isWatchedAlive, startWatched } from './watched-process.ts'
import { isClusterTested, logFileOf, program, readyLimitMs, readyLine } from './weir.ts'
import { Weir, weirEnvironment, type WeirEnvironment } from './weir.ts'

/** Kafka and S3 may have to be started first. */
const limitMs = 600_000

/**
 * The weir that the test files of one of Jest's workers share, one of each profile: it has run as
 * long as the first of them has, and one file at a time uses it. Starting three processes for each
 * file was most of the time of the end-to-end tests.
 */
export async function sharedWeir(): Promise<Weir> {
  requireBuilt()
  const profile = isClusterTested ? 'cluster' : 'embedded'
  const name = `weir-${profile}-${process.env['JEST_WORKER_ID'] ?? '1'}`
  return new Weir(await onceInRun(name, start, limitMs))
}

async function start(place: RunPlace): Promise<WeirEnvironment> {
  const database = await cloneDatabase()
  await writeFile(join(place.folder, 'database.json'), JSON.stringify(database))
  const env = isClusterTested ? await startEngines(place) : {}
  const environment = await weirEnvironment(env, database.url, place.folder)
  // Nothing of what the tests themselves were started with.
  const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  const command = ['env', '-i', ...settings, process.execPath, program]
  const log = logFileOf(environment)
  const group = startWatched({ command, env: {}, ownerPid: place.ownerPid, log })
  await writeFile(join(place.folder, 'group.pid'), String(group))
  const weir = new Weir(environment)
  const isReady = (): boolean => {
    if (!isWatchedAlive(group)) throw new Error(`weir ended instead of starting: ${weir.log}`)
    return weir.log.includes(readyLine)
  }
  await waitFor('the shared weir to be ready', isReady, readyLimitMs)
  return environment
}

async function startEngines({ folder, ownerPid }: RunPlace) {
  // Beside the weir's own folder: each has one process group that ends with the run.
  const beside = `${folder}-eventstoredb`
  await mkdir(beside)
  const { env } = await clusterEngines({ folder: beside, ownerPid })
  return env
}
