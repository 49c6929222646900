import { DomainError } from '../../domain/errors.ts'
import { untilAborted } from '../../domain/until-aborted.ts'
import type { Profile } from '../profiles/profile.ts'

/** A stream that is never written: reading it asks the event store whether it answers. */
const streamOfNobody = 'nobody'
/** Probes give up after some seconds, and learn nothing: they are answered before, ms. */
const answerMsMax = 3_000

/**
 * Resolves when the database and the event store answer, within seconds also when one is frozen.
 *
 * @throws DomainError `unavailable`, and which of them does not
 */
export async function checkEngines({
  sql,
  store,
  clock,
}: Pick<Profile, 'sql' | 'store' | 'clock'>): Promise<void> {
  const late = new AbortController()
  const over = new AbortController()
  void clock.sleep(answerMsMax, over.signal).then(() => late.abort())
  const ask = async (engine: string, answer: Promise<unknown>): Promise<void> => {
    const detail = `The ${engine} does not answer.`
    const answered = await untilAborted(answer, late.signal).catch((cause: unknown) => {
      throw new DomainError('unavailable', detail, {}, { cause })
    })
    if (answered === null) throw new DomainError('unavailable', detail)
  }
  try {
    await ask('database', sql('ready', 'SELECT 1', []))
    await ask('event store', store.read(streamOfNobody, 0))
  } finally {
    over.abort()
  }
}
