import type { ErrorCode } from '../../domain/errors.ts'
import type { Series } from './registry.ts'

/** One answered request, for its metrics. */
export type Answered = {
  readonly method: string
  /** The template of the route; undefined when there was none. */
  readonly route: string | undefined
  readonly status: number
  readonly ms: number
  readonly errorCode: string | null
}

/** Why somebody was not let in. */
export const authFailures = ['missing', 'malformed', 'unknown', 'invalid', 'expired'] as const
export type AuthFailure = (typeof authFailures)[number]

/** What the api counts. */
export type ApiMetrics = {
  readonly answered: (request: Answered) => void
  /** A request, or one job of a batch, was refused with that code. */
  readonly refused: (code: string) => void
  readonly authFailed: (reason: AuthFailure) => void
  readonly socketOpened: () => void
  readonly socketClosed: () => void
  /** A transition was handed to a socket, so long after it was booked. */
  readonly pushed: (ms: number) => void
  readonly resumed: (outcome: 'recovered' | 'restarted') => void
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const moneyRefusals: readonly ErrorCode[] = ['insufficient_credits', 'account_banned']
const rateRefusals: readonly ErrorCode[] = ['rate_limited', 'quota_exceeded', 'account_throttled']

export function openApiMetrics(series: Series): ApiMetrics {
  const requests = series.seconds(
    'http_server_request_duration_seconds',
    'Time from a request to its answer, by route template.',
    { http_request_method: [], http_route: [], http_response_status_code: [] },
  )
  const rejections = series.count(
    'weir_credit_rejections_total',
    'Requests, and jobs of batches, that were refused because the account cannot or may not pay.',
    { reason: moneyRefusals },
  )
  const limited = series.count(
    'weir_rate_limited_total',
    'Requests, and jobs of batches, that were refused with 429, by the kind of refusal.',
    { kind: rateRefusals },
  )
  const failures = series.count(
    'weir_auth_failures_total',
    'Requests and sockets without a valid key or token.',
    { reason: authFailures },
  )
  const connections = series.gauge('weir_ws_connections', 'Sockets that are open.')
  const resumes = series.count(
    'weir_ws_resume_total',
    'Subscriptions with a last revision: recovered gap-free, or restarted from the state.',
    { outcome: ['recovered', 'restarted'] },
  )
  const delays = series.seconds(
    'weir_ws_push_delay_seconds',
    'From the booking of a transition until it was handed to a socket.',
  )
  const refused = (code: string): void => {
    if (moneyRefusals.some((known) => known === code)) rejections({ reason: code })
    if (rateRefusals.some((known) => known === code)) limited({ kind: code })
  }
  let open = 0
  return {
    answered: ({ method, route, status, ms, errorCode }) => {
      const http_request_method = methods.has(method) ? method : 'other'
      const http_response_status_code = String(status)
      const http_route = route ?? 'unknown'
      requests(ms, { http_request_method, http_route, http_response_status_code })
      if (errorCode !== null) refused(errorCode)
    },
    refused,
    authFailed: (reason) => failures({ reason }),
    socketOpened: () => connections((open += 1)),
    socketClosed: () => connections((open -= 1)),
    pushed: (ms) => delays(ms),
    resumed: (outcome) => resumes({ outcome }),
  }
}
