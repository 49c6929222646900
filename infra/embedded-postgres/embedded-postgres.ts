import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { prepareBinaries, type Binaries } from './binaries.ts'
import { errorCode, exists, readIfThere } from './files.ts'
import { initialise, userName } from './initialise.ts'
import { clusterNameOf, isServing, readPidFile } from './leftovers.ts'
import { keepRotating } from './log-file.ts'
import { openSite, rememberPlace, type Site } from './place.ts'
import { commandLine, launch, stopServer, wasStartedWith, watchExit } from './server.ts'
import type { Exit, Server } from './server.ts'

// How a server is found and left:
//
//   no data ── initdb ──▶ data, nobody serves it ── launch ──▶ serving ── stop ──▶ data, …
//                            ▲                                    │
//                            └── killed: orphans ended, log replayed ──┘
//   serving, started by a weir that was killed ──▶ adopted, or stopped and launched when it was
//                                                  started with other settings or is stuck

export interface EmbeddedPostgresOptions {
  /** Absolute path of WEIR_HOME. */
  readonly home: string
  /** Server settings that replace or join the defaults. */
  readonly settings?: Readonly<Record<string, string>>
  /** Gives up a start that takes long, as after a crash; then no server stays behind. */
  readonly signal?: AbortSignal
}

export interface EmbeddedPostgres {
  /** Connection string of the database `weir`, password included. */
  readonly url: string
  readonly pid: number
  /** True when the server was running already. */
  readonly adopted: boolean
  /** Resolves when the server ends, asked or not. */
  readonly exited: Promise<Exit>
  /** Ends connections and the server, within seconds; again: the same promise. */
  stop(): Promise<void>
}

const databaseName = 'weir'
const adoptLimitMs = 30_000
const adoptPollMs = 50
const connectLimitMs = 5_000

/**
 * Serves the home's own Postgres on 127.0.0.1: makes it on the first call, starts it on later ones,
 * and takes over one that is still running. Under root it runs as the user `postgres`. Ready in
 * 0.1 s, on the first call 1.0 s (two cores).
 *
 * @throws Error with one sentence for the user
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const site = await openSite(options.home)
  const binaries = await prepareBinaries(site.binaryStore, site.account)
  if (await exists(site.dataFolder)) await checkMajor(site, binaries)
  else await initialise(site, binaries)
  const settings = options.settings ?? {}
  const commandFor = async (port: number): Promise<string[]> =>
    await commandLine(site, binaries, { port, settings })
  const found = await adopt(site, commandFor)
  const { signal } = options
  const server = found ?? (await launch(site, site.place.port, commandFor, signal))
  const clusterName = await clusterNameOf(site.dataFolder)
  try {
    if (server.port !== site.place.port || !site.place.isInitialised) {
      await rememberPlace({ ...site.place, port: server.port, isInitialised: true })
    }
    await ensureDatabase(site, server)
  } catch (error) {
    // Nobody would stop it: who started it has nothing in hand.
    if (found === undefined) await stopServer(server.pid, clusterName)
    throw error
  }
  keepRotating(site.logFile, server.exited)
  let stopping: Promise<void> | undefined
  return {
    url: urlOf(site, server.port, databaseName),
    pid: server.pid,
    adopted: found !== undefined,
    exited: server.exited,
    stop: async () => await (stopping ??= stopServer(server.pid, clusterName)),
  }
}

/**
 * Finds the server that a weir keeps for its home, as that has started it: a guest neither starts,
 * stops nor changes anything.
 *
 * @returns the connection string of the database `weir`
 * @throws Error with one sentence for the user
 */
export async function joinEmbeddedPostgres(home: string): Promise<string> {
  const site = await openSite(home)
  const candidate = await servingNow(site)
  if (candidate && (await isAnswering(site, candidate))) {
    return urlOf(site, candidate.port, databaseName)
  }
  throw new Error(`The weir in ${home} is just starting or stopping: try again in a moment.`)
}

async function checkMajor(site: Site, binaries: Binaries): Promise<void> {
  const major = (await readIfThere(join(site.dataFolder, 'PG_VERSION')))?.trim()
  if (major === binaries.major) return
  throw new Error(
    `The database in ${site.dataFolder} was made by PostgreSQL ${major}; this weir brings ` +
      `${binaries.major}. Dump it with the weir that made it, or set DATABASE_URL.`,
  )
}

/** The server of this data folder that is running already, if it is as we would start it. */
async function adopt(
  site: Site,
  commandFor: (port: number) => Promise<string[]>,
): Promise<Server | undefined> {
  const candidate = await servingNow(site)
  if (candidate === undefined) return undefined
  const { pid, port, clusterName } = candidate
  const isSame = await wasStartedWith(site, await commandFor(port))
  if (isSame && (await isAnswering(site, candidate))) {
    return { pid, port, exited: watchExit(pid, clusterName) }
  }
  await stopServer(pid, clusterName)
  return undefined
}

async function servingNow({ dataFolder }: Site): Promise<Candidate | undefined> {
  const pidFile = await readPidFile(dataFolder)
  if (pidFile === undefined) return undefined
  const { pid, port } = pidFile
  const clusterName = await clusterNameOf(dataFolder)
  return (await isServing(pid, clusterName)) ? { pid, port, clusterName } : undefined
}

interface Candidate {
  readonly pid: number
  readonly port: number
  readonly clusterName: string
}

/** A server may still be starting, or already be on its way down. */
async function isAnswering(site: Site, candidate: Candidate): Promise<boolean> {
  const until = performance.now() + adoptLimitMs
  while (performance.now() < until) {
    if (!(await isServing(candidate.pid, candidate.clusterName))) return false
    const answer = await ask(urlOf(site, candidate.port, 'postgres'), 'SHOW cluster_name').catch(
      (error: unknown) => ({ code: errorCode(error) ?? '' }),
    )
    if ('rows' in answer) return answer.rows[0]?.['cluster_name'] === candidate.clusterName
    const isWorthWaiting = ['57P03', 'ECONNREFUSED', 'ECONNRESET'].includes(answer.code)
    if (!isWorthWaiting) return false
    await sleep(adoptPollMs)
  }
  return false
}

async function ensureDatabase(site: Site, server: Server): Promise<void> {
  const url = urlOf(site, server.port, 'postgres')
  const sql = `SELECT 1 FROM pg_database WHERE datname = '${databaseName}'`
  const { rows } = await ask(url, sql)
  if (rows.length === 0) await ask(url, `CREATE DATABASE ${databaseName} TEMPLATE template0`)
}

function urlOf(site: Site, port: number, database: string): string {
  return `postgres://${userName}:${site.password}@127.0.0.1:${port}/${database}`
}

type Rows = Record<string, unknown>

async function ask(url: string, sql: string): Promise<pg.QueryResult<Rows>> {
  const client = new pg.Client({
    connectionString: url,
    ssl: false,
    connectionTimeoutMillis: connectLimitMs,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await client.query<Rows>(sql)
  } finally {
    await client.end()
  }
}
