import { spawn, type ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Role } from '../config.ts'
import { growingDelay } from './growing-delay.ts'

export interface RoleKeeperOptions {
  readonly role: Role
  /** The JavaScript file that every role's process runs. */
  readonly program: string
  /** Asked at every start, since the database may have moved. */
  environment(): Record<string, string | undefined>
  /** Called when the process or its readiness changed. */
  onChange(): void
  say(line: string): void
}

/** Keeps one role running as a process of its own. */
export interface RoleKeeper {
  pid(): number | undefined
  isReady(): boolean
  /** Sends a message to the process; lost when there is none. */
  tell(message: { readonly allReady: boolean }): void
  /** Ends the process so that it is started again with a new environment. */
  renew(): void
  /** Ends the process for good: SIGTERM, and SIGKILL after `limitMs`. */
  stop(limitMs: number): Promise<void>
  /** Ends the process for good, at once. */
  kill(): void
}

export function keepRole(options: RoleKeeperOptions): RoleKeeper {
  const stopping = new AbortController()
  const isStopping = (): boolean => stopping.signal.aborted
  let child: ChildProcess | undefined
  let isReady = false

  const runOnce = async (): Promise<string> => {
    const started = spawnRole(options)
    child = started
    started.on('message', (message) => {
      // What a process said last may be heard when it has ended.
      if (child !== started) return
      isReady ||= isReadyMessage(message)
      options.onChange()
    })
    options.onChange()
    const end = await endOf(started)
    child = undefined
    isReady = false
    options.onChange()
    return end
  }

  const keep = async (): Promise<void> => {
    const delay = growingDelay()
    while (!isStopping()) {
      const startedAt = performance.now()
      const end = await runOnce()
      if (isStopping()) return
      const delayMs = delay.nextMs(performance.now() - startedAt)
      options.say(`weir-${options.role} ended (${end}), starting it again in ${delayMs} ms.`)
      await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }

  const ended = keep()
  return {
    pid: () => child?.pid,
    isReady: () => isReady,
    tell: (message) => {
      // A process that is just ending cannot be told any more; nothing depends on it.
      if (child?.connected) child.send(message, () => undefined)
    },
    renew: () => child?.kill('SIGTERM'),
    stop: async (limitMs) => {
      stopping.abort()
      child?.kill('SIGTERM')
      const limit = setTimeout(() => child?.kill('SIGKILL'), limitMs)
      await ended
      clearTimeout(limit)
    },
    kill: () => {
      stopping.abort()
      child?.kill('SIGKILL')
    },
  }
}

/**
 * In a session of its own, so that the terminal's Ctrl-C and hang-up reach only the launcher, which
 * then stops everything in order.
 */
function spawnRole(options: RoleKeeperOptions): ChildProcess {
  const { role, program } = options
  return spawn(process.execPath, ['--enable-source-maps', program], {
    argv0: `weir-${role}`,
    env: options.environment(),
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

async function endOf(child: ChildProcess): Promise<string> {
  return await new Promise((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve(error.message)
    })
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`))
  })
}

function isReadyMessage(message: unknown): boolean {
  return (
    typeof message === 'object' && message !== null && 'ready' in message && message.ready === true
  )
}
