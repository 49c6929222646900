import type { JobType } from '../../workers/handlers/job-type.ts'
import { JobError } from '../../workers/job-error.ts'
import type { SimulatedProvider } from './provider.ts'

/** What a simulated job does: the input of `sim.run`. */
export type Plan = {
  readonly steps: number
  readonly stepMs: number
  /** Attempts that end in an error before one succeeds. */
  readonly failures: number
  /** Ends in an error that no retry mends. */
  readonly isDoomed: boolean
}

export const simulatedType = 'sim.run'

/** A job with durable steps, one paid call in each. The schema is not what is tested here. */
export function simulatedJobType(provider: SimulatedProvider): JobType {
  const call = { provider: 'sandbox', model: null }
  return {
    ...{ type: simulatedType, title: 'Simulated', description: 'Steps and calls.' },
    ...{ inputSchema: {}, maxAttempts: 5, providers: ['sandbox'] },
    validate: () => [],
    estimate: () => [],
    run: async (context) => {
      const { steps, stepMs, failures, isDoomed } = context.input as Plan
      for (let number = 1; number <= steps; number += 1) {
        await context.step(`step ${number}`, async (step) => {
          context.progress((number * 100) / (steps + 1))
          await context.sleep(stepMs)
          const value = await step.call(call, (made) => provider.call(made.idempotencyKey))
          // Paid, and not kept: the next attempt must not pay again.
          if (number === 2 && context.attempt <= failures) throw error(true)
          return value
        })
        // In the middle, so that what was done before must not be done again.
        if (number === 1 && context.attempt < failures) throw error(true)
      }
      if (isDoomed) throw error(false)
      const object = await context.store('result.txt', Buffer.from('done'), 'text/plain')
      return { object }
    },
  }
}

function error(retryable: boolean): JobError {
  return new JobError({ code: 'sim_failed', message: 'It failed as planned.', retryable })
}
