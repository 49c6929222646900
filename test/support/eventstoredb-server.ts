import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventStoreDbServer } from './eventstoredb.ts'
import { freePorts } from './free-ports.ts'
import { onceInRun, type RunPlace } from './once-in-run.ts'
import { translate } from './translate.ts'
import { waitFor } from './wait-for.ts'
import { isWatchedAlive, killWatched, startWatched } from './watched-process.ts'

// Where tests find an EventStoreDB, in this order:
//
//   1  WEIR_TEST_EVENTSTOREDB_URL, a connection string; nothing else in that server is touched
//   2  the image of EventStoreDB, when a Docker engine answers
//   3  the stand-in as a process: no package registry has a server to start

const urlVariable = 'WEIR_TEST_EVENTSTOREDB_URL'
const startLimitMs = 60_000
/** Docker may have to fetch the image first. */
const sharedLimitMs = 600_000

const isDockerLikely = 'DOCKER_HOST' in process.env || existsSync('/var/run/docker.sock')

/** The connection string of a server that the run was given; null when it has to start one. */
export function givenEventStoreDb(): string | null {
  return process.env[urlVariable] || null
}

/** The connection string of the server that all test files of a run share. */
export async function eventStoreDbUrl(): Promise<string> {
  const start = async (place: RunPlace): Promise<string> => {
    const server = await openServer(place)
    await server.start()
    return server.url
  }
  return givenEventStoreDb() ?? (await onceInRun('eventstoredb', start, sharedLimitMs))
}

/** A server of the test's own, running, for faults: never a given one. `stop` it in the end. */
export async function ownEventStoreDb(): Promise<EventStoreDbServer> {
  const folder = await mkdtemp(join(tmpdir(), `weir-test-${process.pid}-eventstoredb-`))
  return await startEventStoreDb({ folder, ownerPid: process.pid })
}

/** A server in that place. `stop` it in the end; one that is a run's ends with the run. */
export async function startEventStoreDb(place: RunPlace): Promise<EventStoreDbServer> {
  const server = await openServer(place)
  await server.start()
  return server
}

async function openServer(place: RunPlace): Promise<EventStoreDbServer> {
  await mkdir(place.folder, { recursive: true })
  const port = await freePorts()
  return (await dockerOrNone(place, port)) ?? openStandIn(place, port)
}

async function dockerOrNone(place: RunPlace, port: number): Promise<EventStoreDbServer | null> {
  if (!isDockerLikely) return null
  const { dockerEventStoreDb } = await import('./eventstoredb-docker.ts')
  return await dockerEventStoreDb(place, port).catch(() => null)
}

function openStandIn({ folder, ownerPid }: RunPlace, port: number): EventStoreDbServer {
  const log = join(folder, 'stand-in.log')
  let group: number | null = null
  const kill = async (): Promise<void> => {
    if (group !== null) await killWatched(group)
    group = null
  }
  return {
    url: `esdb://127.0.0.1:${port}?tls=false`,
    start: async () => {
      const program = translate('eventstoredb-stand-in', ['test/support/eventstoredb-stand-in'])
      const main = join(program.folder, 'test/support/eventstoredb-stand-in/main.js')
      const command = [process.execPath, main, String(port), join(folder, 'events.ndjson')]
      group = startWatched({ command, env: { NODE_OPTIONS: '' }, ownerPid, log })
      await writeFile(join(folder, 'group.pid'), String(group))
      await waitFor('the stand-in to listen', () => isListening(port, group, log), startLimitMs)
      // By now it has loaded what it consists of.
      program.remove()
    },
    kill,
    stop: async () => {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function isListening(port: number, group: number | null, log: string): Promise<boolean> {
  if (group === null || !isWatchedAlive(group)) {
    throw new Error(`the stand-in ended: ${existsSync(log) ? readFileSync(log, 'utf8') : ''}`)
  }
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (isThere: boolean): void => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}
