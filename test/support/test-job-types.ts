import { defineJobType } from '../../workers/handlers/job-type.ts'
import type { JobType } from '../../workers/handlers/job-type.ts'
import type { HandlerContext, JobOutcome } from '../../workers/handlers/handler.ts'

/** A job type with any input that does what it is told to. */
export function jobTypeThat(
  type: string,
  run: (context: HandlerContext<Record<string, unknown>>) => Promise<JobOutcome>,
  concurrencyMax?: number,
): JobType {
  return defineJobType<Record<string, unknown>>({
    ...{ type, title: type, description: type, inputSchema: { type: 'object' } },
    ...{ maxAttempts: 5, providers: ['sandbox'], estimate: () => [], run },
    ...(concurrencyMax === undefined ? {} : { concurrencyMax }),
  })
}

/** Stores a few bytes: how a test's job succeeds. */
export async function stored(context: HandlerContext<unknown>): Promise<JobOutcome> {
  return { object: await context.store('result.txt', Buffer.from('done'), 'text/plain') }
}

/** One paid call that takes `ms`. */
export async function paidCall(context: HandlerContext<unknown>, ms = 0): Promise<null> {
  return await context.call({ provider: 'sandbox', model: null }, async () => {
    if (ms > 0) await context.sleep(ms)
    return { value: null, units: { requests: '1' } }
  })
}
