import { setTimeout as sleep } from 'node:timers/promises'
import { growingDelay } from './growing-delay.ts'

/** A Postgres server that runs for this home. */
export interface RunningPostgres {
  readonly url: string
  /** Resolves when the server ends, asked or not. */
  readonly exited: Promise<unknown>
  stop(): Promise<void>
}

/** Rejects soon, and leaves no server, when the signal aborts. */
export type StartPostgres = (options: {
  readonly home: string
  readonly signal: AbortSignal
}) => Promise<RunningPostgres>

export interface PostgresKeeper {
  url(): string
  stop(): Promise<void>
}

export interface PostgresKeeperOptions {
  start(): Promise<RunningPostgres>
  /** Called when the server came back under another address. */
  onMoved(): void
  say(line: string): void
}

/** Starts Postgres and starts it again whenever it ends, until told to stop. */
export async function keepPostgres(options: PostgresKeeperOptions): Promise<PostgresKeeper> {
  const stopping = new AbortController()
  const isStopping = (): boolean => stopping.signal.aborted
  const delay = growingDelay()
  let running = await options.start()
  let startedAt = performance.now()

  const startAgain = async (): Promise<void> => {
    const delayMs = delay.nextMs(performance.now() - startedAt)
    startedAt = performance.now()
    await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    if (isStopping()) return
    const urlBefore = running.url
    running = await options.start()
    options.say('Postgres is running again.')
    if (running.url !== urlBefore) options.onMoved()
  }

  const keep = async (): Promise<void> => {
    for (;;) {
      await running.exited
      if (isStopping()) return
      options.say('Postgres ended unexpectedly, starting it again.')
      await startAgain().catch((error: unknown) => {
        if (isStopping()) return
        options.say(error instanceof Error ? error.message : String(error))
      })
      // Told to stop while it was starting: the one that came of it is stopped here.
      if (isStopping()) await running.stop()
    }
  }

  const ended = keep()
  return {
    url: () => running.url,
    stop: async () => {
      stopping.abort()
      await running.stop()
      await ended
    },
  }
}
