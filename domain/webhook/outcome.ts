import type { DeliveryOutcome } from '../ports/delivery-store.ts'
import type { WebhookAnswer } from '../ports/webhook-transport.ts'
import { nextAttemptDelayMs, retryAfterSeconds } from './retry-schedule.ts'

const httpGone = 410

/** What an attempt depends on besides its answer. */
export type Attempt = {
  /** Attempts that are over, this one included: 1 or more. */
  readonly attempt: number
  readonly nowMs: number
  /** Uniform in [0, 1). */
  readonly random01: number
}

/**
 * Decides what becomes of a delivery after an attempt: any 2xx is delivered; 410 says that nobody
 * listens any more and parks it; everything else, redirects too, is tried again by the schedule.
 */
export function outcomeOf(answer: WebhookAnswer, attempt: Attempt): DeliveryOutcome {
  if (answer.kind !== 'answered') {
    const failure = { httpStatus: null, error: answer.error }
    if (answer.kind === 'withdrawn') return { kind: 'parked', ...failure }
    return retryOrPark(failure, attempt, undefined)
  }
  const { httpStatus } = answer
  if (httpStatus >= 200 && httpStatus < 300) return { kind: 'delivered', httpStatus, error: null }
  const failure = { httpStatus, error: `http_${httpStatus}` }
  if (isGone(answer)) return { kind: 'parked', ...failure }
  return retryOrPark(failure, attempt, retryAfterSeconds(answer.retryAfter, attempt.nowMs))
}

/** Whether the receiver said that nobody listens any more. */
export function isGone(answer: WebhookAnswer): boolean {
  return answer.kind === 'answered' && answer.httpStatus === httpGone
}

function retryOrPark(
  failure: { readonly httpStatus: number | null; readonly error: string },
  { attempt, nowMs, random01 }: Attempt,
  afterSeconds: number | undefined,
): DeliveryOutcome {
  const delayMs = nextAttemptDelayMs(attempt, random01, afterSeconds)
  if (delayMs === 'park') return { kind: 'parked', ...failure }
  return { kind: 'retry', nextAttemptAtMs: nowMs + delayMs, ...failure }
}
