import { DomainError } from '../../domain/errors.ts'
import { untilAborted } from '../../domain/until-aborted.ts'
import type { Profile } from '../profiles/profile.ts'

/** A stream that is never written: reading it asks the event store whether it answers. */
const streamOfNobody = 'nobody'
/** Probes give up after some seconds, and learn nothing: they are answered before, ms. */
const answerMsMax = 3_000

const restored = 'The event store ends before what was carried of it: was it restored?'

/**
 * Resolves when the database and the event store answer, within seconds also when one is frozen,
 * and the log is whole.
 *
 * @throws DomainError `unavailable`, and which of them does not
 */
export async function checkEngines({
  sql,
  store,
  isLogWhole,
  clock,
}: Pick<Profile, 'sql' | 'store' | 'isLogWhole' | 'clock'>): Promise<void> {
  const late = new AbortController()
  const over = new AbortController()
  void clock.sleep(answerMsMax, over.signal).then(() => late.abort())
  const ask = async <T>(engine: string, answer: Promise<T>): Promise<T> => {
    const detail = `The ${engine} does not answer.`
    const answered = await untilAborted(answer, late.signal).catch((cause: unknown) => {
      throw new DomainError('unavailable', detail, {}, { cause })
    })
    if (answered === null) throw new DomainError('unavailable', detail)
    return answered
  }
  try {
    await ask('database', sql('ready', 'SELECT 1', []))
    await ask('event store', store.read(streamOfNobody, 0))
    // Jobs would be taken that nobody carries on.
    const isWhole = await ask('event store', isLogWhole())
    if (!isWhole) throw new DomainError('unavailable', restored)
  } finally {
    over.abort()
  }
}
