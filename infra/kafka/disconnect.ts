import type { Clock } from '../../domain/ports/clock.ts'

/** Time to say goodbye, ms. */
export const goodbyeMs = 5_000
/** The same when the process ends: it is not held up by a broker that says nothing. */
export const lastGoodbyeMs = 1_000

/** Ends a client of kafkajs. One that hangs is left behind: nobody listens to it any more. */
export async function disconnect(
  client: { readonly disconnect: () => Promise<void> },
  clock: Clock,
  limitMs = goodbyeMs,
): Promise<void> {
  const done = new AbortController()
  const goodbye = client.disconnect().catch(() => undefined)
  void goodbye.then(() => done.abort())
  await clock.sleep(limitMs, done.signal)
}
