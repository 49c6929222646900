import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/**
 * A name for a living process that no later process gets, though its number is used again: the
 * number and the moment it started. undefined when it has ended, also when nobody has fetched its
 * exit code yet.
 */
export function processIdentity(pid: number): string | undefined {
  const startedAt = process.platform === 'linux' ? linuxStart(pid) : psStart(pid)
  if (startedAt === undefined) return undefined
  return `${pid}-${createHash('sha256').update(startedAt).digest('hex').slice(0, 12)}`
}

/** The process number in an identity. */
export function pidOf(identity: string): number {
  return Number.parseInt(identity, 10)
}

export function isRunning(identity: string): boolean {
  return processIdentity(pidOf(identity)) === identity
}

/** The parent's number, for Linux only; elsewhere undefined. */
export function parentOf(pid: number): number | undefined {
  const parent = Number(linuxStatus(pid)?.[1])
  return parent > 1 ? parent : undefined
}

/** Ticks since boot and the boot's id: ticks alone may repeat after a reboot. */
function linuxStart(pid: number): string | undefined {
  const status = linuxStatus(pid)
  if (status === undefined || hasEnded(status)) return undefined
  return `${status[19]} ${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')}`
}

/**
 * A killed process shows as a zombie when its main thread is gone; as long as another one lives,
 * its ports are taken all the same.
 */
function hasEnded(status: readonly string[]): boolean {
  const threads = Number(status[17])
  return /^[ZX]/.test(status[0] ?? '') && threads <= 1
}

/** The fields of /proc/<pid>/stat behind the program's name, which may contain spaces. */
function linuxStatus(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

function psStart(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
    const [status = '', ...startedAt] = line.split(/\s+/)
    return status === '' || status.startsWith('Z') ? undefined : startedAt.join(' ')
  } catch {
    return undefined
  }
}
