import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readJson, writePrivately } from './private-file.ts'
import { isRunning, pidOf, processIdentity } from './process-identity.ts'

// A launcher that is killed cannot stop its roles. They notice and end by themselves; what is
// written here lets the next start make sure of it before it wants their ports.

const fileName = 'children.json'
const pollMs = 20
/** After that they are killed, which is safe: a crash at any moment is. Starting must not wait. */
const graceMs = 2_000
const killLimitMs = 2_000

export function recordChildren(home: string, pids: readonly number[]): void {
  const identities = pids.flatMap((pid) => processIdentity(pid) ?? [])
  writePrivately(join(home, fileName), identities)
}

/** Ends the roles that an earlier launcher of this home has left behind. */
export async function endOrphans(home: string): Promise<void> {
  const recorded = readJson(join(home, fileName))
  const identities = Array.isArray(recorded)
    ? recorded.filter((item) => typeof item === 'string')
    : []
  if (await haveEnded(identities, 'SIGTERM', graceMs)) return
  await haveEnded(identities, 'SIGKILL', killLimitMs)
}

async function haveEnded(
  identities: readonly string[],
  signal: NodeJS.Signals,
  limitMs: number,
): Promise<boolean> {
  for (const identity of identities.filter(isRunning)) send(pidOf(identity), signal)
  const until = performance.now() + limitMs
  while (identities.some(isRunning)) {
    if (performance.now() > until) return false
    await sleep(pollMs)
  }
  return true
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has just ended by itself.
  }
}
