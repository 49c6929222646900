import { createHash, randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, realpath } from 'node:fs/promises'
import { isAbsolute, join, relative, resolve } from 'node:path'
import { canReach, ownerOf, serverAccount, type Account } from './account.ts'
import { exists, readIfThere, writePrivately } from './files.ts'
import { clusterNameOf, endOrphans } from './leftovers.ts'

/** Where data and copied binaries go when root's home is closed to the user `postgres`. */
const sharedRoot = '/var/lib/weir'

/** What weir remembers of its Postgres, in `postgres.json` in the home. */
export interface Place {
  readonly home: string
  /** Absolute; holds `data` and whatever is in the making. Belongs to the server's user. */
  readonly folder: string
  readonly port: number
  /** True from the moment on that `data` may hold something worth keeping. */
  readonly isInitialised: boolean
}

/** Where everything is, and who runs the server. */
export interface Site {
  readonly place: Place
  readonly dataFolder: string
  readonly account: Account | undefined
  readonly password: string
  readonly logFile: string
  /** Folder for copies of the binaries, should they be needed. */
  readonly binaryStore: string
}

const placeFile = 'postgres.json'
const passwordFile = 'postgres.password'

/**
 * Finds the place that the home remembers, or chooses one and remembers it.
 *
 * @throws Error with one sentence when the home's data is gone, unreachable or another home's
 */
export async function openSite(home: string): Promise<Site> {
  await mkdir(home, { recursive: true })
  const account = await serverAccount()
  const remembered = await readPlace(home)
  const place = remembered ?? (await choosePlace(home, account))
  await prepareFolder(place, account)
  if (place !== remembered) await rememberPlace(place)
  const dataFolder = join(place.folder, 'data')
  const isThere = await exists(dataFolder)
  if (place.isInitialised && !isThere) throw new Error(goneSentence(place, dataFolder))
  const isInHome = account === undefined || (await canReach(account, home))
  return {
    place,
    dataFolder,
    account: (isThere ? await ownerOf(dataFolder) : undefined) ?? account,
    password: await ensurePassword(home, isThere),
    logFile: join(home, 'postgres.log'),
    binaryStore: isInHome ? join(home, 'postgres-bin') : join(sharedRoot, 'bin'),
  }
}

export async function rememberPlace(place: Place): Promise<void> {
  const inside = relative(place.home, place.folder)
  const isInside = !inside.startsWith('..') && !isAbsolute(inside)
  // Relative, so that a home may be moved or copied with its data.
  const stored = { ...place, folder: isInside ? inside : place.folder }
  await writePrivately(join(place.home, placeFile), `${JSON.stringify(stored, null, 2)}\n`)
}

async function readPlace(home: string): Promise<Place | undefined> {
  const text = await readIfThere(join(home, placeFile))
  if (text === undefined) return undefined
  const stored: unknown = parseJson(text)
  if (!isStoredPlace(stored)) {
    throw new Error(`${join(home, placeFile)} is damaged; restore it to find the database again.`)
  }
  const place = { ...stored, home, folder: resolve(home, stored.folder) }
  if (stored.home === home) return place
  if (isAbsolute(stored.folder)) await refuseCopy(home, stored)
  await rememberPlace(place)
  return place
}

/** A moved home takes its data along; a copied one must not share the original's. */
async function refuseCopy(home: string, stored: Place): Promise<void> {
  const original = await readIfThere(join(stored.home, placeFile))
  if (original === undefined) return
  throw new Error(
    `${home} is a copy of ${stored.home}, whose database in ${stored.folder} is not part of ` +
      `the copy; delete ${join(home, placeFile)} to give this home a database of its own.`,
  )
}

async function choosePlace(home: string, account: Account | undefined): Promise<Place> {
  if (await canReach(account, home)) {
    return { home, folder: join(home, 'postgres'), port: 0, isInitialised: false }
  }
  const name = createHash('sha256')
    .update(await realpath(home))
    .digest('hex')
    .slice(0, 16)
  const folder = join(sharedRoot, name)
  // Data of a home that was deleted, or moved and never started since. It is not ours to touch,
  // but a server that nobody looks after any more is stopped.
  const isTaken = await exists(folder)
  if (isTaken) await endOrphans(await clusterNameOf(join(folder, 'data')), 0)
  const suffix = isTaken ? `-${randomBytes(3).toString('hex')}` : ''
  return { home, folder: `${folder}${suffix}`, port: 0, isInitialised: false }
}

async function prepareFolder(place: Place, account: Account | undefined): Promise<void> {
  if (!(await exists(place.folder))) {
    await mkdir(place.folder, { recursive: true })
    await chmod(place.folder, 0o700)
    if (account) await chown(place.folder, account.uid, account.gid)
  }
  const owner = (await ownerOf(place.folder)) ?? account
  if (await canReach(owner, place.folder)) return
  throw new Error(
    `The user who runs Postgres (uid ${owner?.uid}) cannot reach ${place.folder} any more; ` +
      'give back the right to enter its parent folders (chmod a+x).',
  )
}

async function ensurePassword(home: string, isInUse: boolean): Promise<string> {
  const file = join(home, passwordFile)
  const existing = (await readIfThere(file))?.trim()
  if (existing) return existing
  if (isInUse) throw new Error(`${file} is missing; without it the database cannot be opened.`)
  const password = randomBytes(24).toString('base64url')
  await writePrivately(file, `${password}\n`)
  return password
}

function goneSentence(place: Place, dataFolder: string): string {
  return (
    `The database folder ${dataFolder} is gone. Put it back, or delete ` +
    `${join(place.home, placeFile)} to begin with an empty database.`
  )
}

function isStoredPlace(value: unknown): value is Place {
  return (
    typeof value === 'object' &&
    value !== null &&
    'home' in value &&
    'folder' in value &&
    'port' in value &&
    'isInitialised' in value &&
    typeof value.home === 'string' &&
    typeof value.folder === 'string' &&
    typeof value.port === 'number'
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
