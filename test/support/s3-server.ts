import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDockerLikely } from './engine-programs.ts'
import { freePorts } from './free-ports.ts'
import { onceInRun, type RunPlace } from './once-in-run.ts'
import { ownAccount, type S3Access, type S3Server } from './s3-access.ts'
import { versitygwProgram } from './versitygw.ts'
import { waitFor } from './wait-for.ts'
import { isWatchedAlive, killWatched, startWatched } from './watched-process.ts'

// Where tests find a real S3 server, in this order:
//
//   1  WEIR_TEST_S3_ENDPOINT, with the usual AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION
//   2  the image of versitygw, when a Docker engine answers
//   3  versitygw as a process, from a cache or built by Go

const endpointVariable = 'WEIR_TEST_S3_ENDPOINT'
const healthLimitMs = 30_000
/** Go may have to build it first. */
const sharedLimitMs = 600_000

/** The S3 server that all test files of a run share; started for whoever asks first. */
export async function sharedS3(): Promise<S3Access> {
  const endpoint = process.env[endpointVariable]
  if (endpoint) return givenAccess(endpoint)
  const start = async (place: RunPlace): Promise<S3Access> => {
    const server = await openServer(place)
    await server.start()
    return server.access
  }
  return await onceInRun('s3', start, sharedLimitMs)
}

/** A server of the test's own, running, for faults. `stop` it in the end. */
export async function ownS3Server(): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), `weir-test-${process.pid}-s3-`))
  const server = await openServer({ folder, ownerPid: process.pid })
  await server.start()
  return server
}

function givenAccess(endpoint: string): S3Access {
  const accessKeyId = process.env['AWS_ACCESS_KEY_ID']
  const secretAccessKey = process.env['AWS_SECRET_ACCESS_KEY']
  if (!accessKeyId || !secretAccessKey) {
    throw new Error(`${endpointVariable} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY too.`)
  }
  const region = process.env['AWS_REGION'] || ownAccount.region
  return { endpoint, region, accessKeyId, secretAccessKey }
}

async function openServer(place: RunPlace): Promise<S3Server> {
  const data = join(place.folder, 'data')
  await mkdir(data)
  const port = await freePorts()
  const server = (await dockerOrNone(place, port)) ?? (await openProcess(place, port))
  return {
    ...server,
    start: async () => {
      await server.start()
      await waitFor('S3 to answer', () => isHealthy(server.access.endpoint), healthLimitMs)
    },
    stop: async () => {
      await server.stop()
      await rm(place.folder, { recursive: true, force: true })
    },
  }
}

async function dockerOrNone(place: RunPlace, port: number): Promise<S3Server | null> {
  if (!isDockerLikely) return null
  const { dockerServer } = await import('./s3-docker.ts')
  return await dockerServer(place, port).catch(() => null)
}

async function openProcess({ folder, ownerPid }: RunPlace, port: number): Promise<S3Server> {
  const program = await versitygwProgram()
  const log = join(folder, 'versitygw.log')
  const listen = ['--port', `127.0.0.1:${port}`, '--health', '/health', '--keep-alive', '--quiet']
  const { accessKeyId, secretAccessKey } = ownAccount
  const env = { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey }
  let group: number | null = null
  const kill = async (): Promise<void> => {
    if (group !== null) await killWatched(group)
    group = null
  }
  return {
    access: { ...ownAccount, endpoint: `http://127.0.0.1:${port}` },
    start: async () => {
      const command = [program, ...listen, 'posix', join(folder, 'data')]
      group = startWatched({ command, env, ownerPid, log })
      await writeFile(join(folder, 'group.pid'), String(group))
      await waitFor('versitygw to listen', () => hasPrinted(group ?? 0, log), healthLimitMs)
    },
    kill,
    stop: kill,
  }
}

/** Whether it has said anything; it is the first to tell why it cannot start. */
function hasPrinted(group: number, log: string): boolean {
  const printed = existsSync(log) ? readFileSync(log, 'utf8') : ''
  if (!isWatchedAlive(group)) throw new Error(`versitygw ended: ${printed}`)
  return printed !== ''
}

async function isHealthy(endpoint: string): Promise<boolean> {
  const answer = await fetch(`${endpoint}/health`, { headers: { connection: 'close' } }).catch(
    () => null,
  )
  await answer?.body?.cancel()
  return answer?.ok === true
}
