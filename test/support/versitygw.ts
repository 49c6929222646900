import { execFile, spawn } from 'node:child_process'
import { constants, existsSync } from 'node:fs'
import { copyFile, link, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir, setPriority } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './repository.ts'

const version = 'v1.8.0'
const fileName = `versitygw-${version}`
const source = `github.com/versity/versitygw/cmd/versitygw@${version}`
const repositoryCache = join(root, '.cache')
const buildNiceness = 10
const outputTailLength = 2_000

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
  await promisify(execFile)('go', ['version']).catch((cause: unknown) => {
    throw new Error('Go, which would build it, is not installed.', { cause })
  })
  process.stderr.write(`Building ${source}; this takes two minutes, once …\n`)
  const folder = await mkdtemp(join(cache, 'build-'))
  try {
    await runGo(['install', '-ldflags=-s -w', source], { GOBIN: folder, CGO_ENABLED: '0' })
    // Two test runs may build at the same time; each replaces the file as a whole.
    await rename(join(folder, 'versitygw'), target)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runGo(args: readonly string[], env: Record<string, string>): Promise<void> {
  const go = spawn('go', args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (go.pid !== undefined) setPriority(go.pid, buildNiceness)
  let output = ''
  const note = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-outputTailLength)
  }
  go.stdout.on('data', note)
  go.stderr.on('data', note)
  const code = await new Promise<number | null>((resolve, reject) => {
    go.once('error', reject).once('close', resolve)
  })
  if (code !== 0) throw new Error(`Go could not build ${source}:\n${output}`)
}

async function place(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  const draft = `${to}.${process.pid}`
  await link(from, draft).catch(() => copyFile(from, draft, constants.COPYFILE_FICLONE))
  await rename(draft, to)
}
