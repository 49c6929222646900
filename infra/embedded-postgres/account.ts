import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The user that Postgres runs as, when it is not the user that runs weir. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

const userName = 'postgres'

/**
 * Postgres refuses to run as root. Root gets the account of the user `postgres`, made when there
 * is none; everybody else runs Postgres themselves (undefined).
 */
export async function serverAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const existing = await lookUp()
  if (existing) return existing
  await createUser()
  const created = await lookUp()
  if (created) return created
  throw new Error(
    `Postgres cannot run as root, and the user "${userName}" could not be created. ` +
      'Create it, start weir as another user, or set DATABASE_URL.',
  )
}

async function lookUp(): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', userName]), run('id', ['-g', userName])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return undefined
  }
}

/** Linux distributions differ in what they bring; the first command that works is enough. */
async function createUser(): Promise<void> {
  const commands: readonly (readonly [string, readonly string[]])[] = [
    ['useradd', ['--system', '--user-group', '--no-create-home', userName]],
    ['adduser', ['--system', '--group', '--no-create-home', userName]],
    ['adduser', ['-S', '-D', '-H', userName]],
  ]
  for (const [command, flags] of commands) {
    const isDone = await run(command, [...flags]).then(
      () => true,
      () => false,
    )
    if (isDone) return
  }
}

/** Data that another user than root already owns is served by that user. */
export async function ownerOf(folder: string): Promise<Account | undefined> {
  const { uid, gid } = await stat(folder)
  return process.getuid?.() === 0 && uid !== 0 ? { uid, gid } : undefined
}

/**
 * Whether the account can go into `folder`. The kernel is asked, by trying: modes, access lists and
 * mount options all have a say.
 */
export async function canReach(account: Account | undefined, folder: string): Promise<boolean> {
  if (account === undefined) return true
  return await run('/bin/sh', ['-c', 'cd "$0"', folder], { ...account, cwd: '/' }).then(
    () => true,
    () => false,
  )
}
