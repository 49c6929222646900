import { execFile, spawn } from 'node:child_process'
import { constants, existsSync } from 'node:fs'
import { chmod, copyFile, link, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { homedir, setPriority } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './repository.ts'

const version = 'v1.8.0'
const fileName = `versitygw-${version}`
const source = `github.com/versity/versitygw/cmd/versitygw@${version}`
/** What its go.mod asks for. */
const goVersion = 'go1.25.0'
const repositoryCache = join(root, '.cache')
const buildNiceness = 10
const outputTailLength = 2_000
const execute = promisify(execFile)

/**
 * The path of versitygw, a real S3 server over a folder: from the cache of this clone, else from
 * the cache of this user, which new clones share, else built by Go, which takes two minutes once.
 *
 * @throws Error with a sentence when there is no Go or it cannot build
 */
export async function versitygwProgram(): Promise<string> {
  const here = join(repositoryCache, fileName)
  if (existsSync(here)) return here
  const cache = await userCache()
  const kept = join(cache, fileName)
  if (!existsSync(kept)) await build(cache, kept)
  if (kept !== here) await place(kept, here)
  return here
}

async function userCache(): Promise<string> {
  const folder = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'weir-test')
  try {
    await mkdir(folder, { recursive: true })
    return folder
  } catch {
    await mkdir(repositoryCache, { recursive: true })
    return repositoryCache
  }
}

async function build(cache: string, target: string): Promise<void> {
  const go = await goProgram(cache)
  process.stderr.write(`Building ${source}; this takes two minutes, once …\n`)
  const folder = await mkdtemp(join(cache, 'build-'))
  try {
    await runBuild(go, { GOBIN: folder, CGO_ENABLED: '0' })
    // Two test runs may build at the same time; each replaces the file as a whole.
    await rename(join(folder, 'versitygw'), target)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * A Go that is new enough: any since 1.21 fetches what a program asks for by itself. An older one,
 * as stable Linux distributions have, fetches a newer one when it is told to, as the module it is.
 */
async function goProgram(cwd: string): Promise<string> {
  const installed = await execute('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'], { cwd }).catch(
    (cause: unknown) => {
      throw new Error('Go, which would build it, is not installed.', { cause })
    },
  )
  const [version = '', system = '', machine = ''] = installed.stdout.split('\n')
  if (Number(/^go1\.(\d+)/.exec(version)?.[1]) >= 21) return 'go'
  const toolchain = `golang.org/toolchain@v0.0.1-${goVersion}.${system}-${machine}`
  const { stdout } = await execute('go', ['mod', 'download', '-json', toolchain], { cwd })
  const { Dir: folder } = JSON.parse(stdout) as { Dir: string }
  // Modules hold no programs, so to Go these are files like others.
  for (const programs of ['bin', join('pkg', 'tool', `${system}_${machine}`)]) {
    for (const name of await readdir(join(folder, programs))) {
      await chmod(join(folder, programs, name), 0o755)
    }
  }
  return join(folder, 'bin', 'go')
}

async function runBuild(go: string, settings: Record<string, string>): Promise<void> {
  const { GOROOT: _ofAnotherGo, ...inherited } = process.env
  const env = { ...inherited, ...settings }
  // Not optimised: all of Go's library and 370 packages are compiled, which takes two thirds of
  // the time so, and tests ask little of it.
  const flags = ['-gcflags=all=-N -l', '-ldflags=-s -w']
  const child = spawn(go, ['install', ...flags, source], { env, stdio: 'pipe' })
  if (child.pid !== undefined) setPriority(child.pid, buildNiceness)
  let output = ''
  const note = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-outputTailLength)
  }
  child.stdout.on('data', note)
  child.stderr.on('data', note)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve)
  })
  if (code !== 0) throw new Error(`Go could not build ${source}:\n${output}`)
}

async function place(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  const draft = `${to}.${process.pid}`
  await link(from, draft).catch(() => copyFile(from, draft, constants.COPYFILE_FICLONE))
  await rename(draft, to)
}
