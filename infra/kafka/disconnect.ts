import type { Clock } from '../../domain/ports/clock.ts'

const limitMs = 5_000

/** Ends a client of kafkajs. One that hangs is left behind: nobody listens to it any more. */
export async function disconnect(
  client: { readonly disconnect: () => Promise<void> },
  clock: Clock,
): Promise<void> {
  const done = new AbortController()
  const goodbye = client.disconnect().catch(() => undefined)
  void goodbye.then(() => done.abort())
  await clock.sleep(limitMs, done.signal)
}
