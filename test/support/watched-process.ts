import { spawn } from 'node:child_process'
import { waitFor } from './wait-for.ts'

/** A program, and a watch that kills it within a second after its owner, however that ended. */
const script = `
"$@" >"$WEIR_TEST_LOG" 2>&1 &
program=$!
while kill -0 $WEIR_TEST_OWNER 2>/dev/null && kill -0 $program 2>/dev/null; do sleep 1; done
kill -9 $program 2>/dev/null
`

export interface WatchedProgram {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly ownerPid: number
  /** The file for all that it prints. */
  readonly log: string
}

/** Starts the program in a process group of its own, whose number it gives. */
export function startWatched({ command, env, ownerPid, log }: WatchedProgram): number {
  const child = spawn('sh', ['-c', script, 'sh', ...command], {
    env: { ...process.env, ...env, WEIR_TEST_OWNER: String(ownerPid), WEIR_TEST_LOG: log },
    detached: true,
    stdio: 'ignore',
  })
  // It may outlive the test file that asked first, and is none of the file's own handles.
  child.unref()
  if (child.pid === undefined) throw new Error(`${command[0]} could not be started`)
  return child.pid
}

/** Kills the group as `kill -9` does; resolves when all of it is dead. */
export async function killWatched(group: number): Promise<void> {
  if (!isWatchedAlive(group)) return
  process.kill(-group, 'SIGKILL')
  await waitFor(`process group ${group} to be dead`, () => !isWatchedAlive(group))
}

export function isWatchedAlive(group: number): boolean {
  try {
    return process.kill(-group, 0)
  } catch {
    return false
  }
}
