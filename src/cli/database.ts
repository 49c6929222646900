import { DomainError } from '../../domain/errors.ts'
import { EngineRefusal } from '../../domain/ports/engine-refusal.ts'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import { readConfig } from '../config.ts'
import type { Config } from '../config.ts'
import { openToolDatabase } from '../profiles/tool.ts'
import type { ToolDatabase } from '../profiles/tool.ts'
import { CliError } from './command.ts'

/** What ends a command early: Ctrl-C, a signal, a terminal that is closed. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** Comes with every line that nobody reads. */
const readerGone = 'SIGPIPE'

/**
 * Opens the installation's database for a command, and closes whatever it opened, also when the
 * command is told to stop: a Postgres that was started for it would stay. A second time ends the
 * process as it is.
 *
 * @throws CliError when the command was told to stop, was refused, or an engine does not answer
 */
export async function withDatabase<T>(
  use: (database: ToolDatabase, config: Config) => Promise<T>,
): Promise<T> {
  const config = readConfig()
  const told = new AbortController()
  const stop = (): void => told.abort()
  for (const signal of signals) process.once(signal, stop)
  process.on(readerGone, stop)
  try {
    return await useUntilTold(await openToolDatabase(config), told.signal, (database) =>
      use(database, config),
    )
  } catch (error) {
    throw told.signal.aborted ? new CliError('Stopped before it was done.') : sentenceOf(error)
  } finally {
    for (const signal of [...signals, readerGone] as const) process.off(signal, stop)
  }
}

/** What a command may meet with, and is no fault of weir: it needs no stack. */
const expected = [EngineUnavailable, EngineRefusal, DomainError] as const

/** What the engine or its driver said tells the person at the terminal what to mend. */
function sentenceOf(error: unknown): unknown {
  const isExpected = expected.some((kind) => error instanceof kind) && error instanceof Error
  return isExpected ? new CliError(saidBy(error).join(': '), { cause: error }) : error
}

/** What the error says, and each cause of it. */
function saidBy(error: Error): readonly string[] {
  const { cause, message } = error
  const causes = cause instanceof Error ? saidBy(cause).filter((said) => said !== '') : []
  return causes.length > 0 ? [message.replace(/\.$/, ''), ...causes] : [message]
}

/** What is used of a database that was closed throws: so the command ends in its own order. */
async function useUntilTold<T>(
  database: ToolDatabase,
  told: AbortSignal,
  use: (database: ToolDatabase) => Promise<T>,
): Promise<T> {
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= database.close())
  // Its failure is met below.
  const closeEarly = (): void => void close().catch(() => undefined)
  told.addEventListener('abort', closeEarly)
  try {
    told.throwIfAborted()
    return await use(database)
  } finally {
    told.removeEventListener('abort', closeEarly)
    await close()
  }
}
