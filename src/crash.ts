import type { Log } from './log.ts'

/** Logs of the roles of this process. */
const logs: Log[] = []
let hasCrashed = false

/**
 * From now on what nobody catches, an exception or a rejection, ends the process with a fatal line
 * in the role's log. What else fails while that is told is part of the same end.
 */
export function tellCrashes(log: Log): void {
  if (logs.push(log) > 1) return
  process.on('uncaughtException', (error, origin) => {
    if (hasCrashed) return
    hasCrashed = true
    const message = origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception'
    const told = logs.map(async (each) => each.fatal({ err: error }, message))
    void Promise.allSettled(told).then(() => process.exit(1))
  })
}
