import type { Allowance } from '../commands/admission.ts'
import type { DomainError } from '../../domain/errors.ts'

// RateLimit header fields for HTTP, as the IETF's draft of that name writes them.

type Headers = Readonly<Record<string, string>>

/** What a caller may still do: the tightest limit that the request was counted for. */
export function allowanceHeaders(allowance: Allowance | null): Headers {
  if (!allowance) return {}
  const { policy, limit, windowSeconds, remaining, resetSeconds } = allowance
  return {
    'ratelimit-policy': `"${policy}";q=${limit};w=${windowSeconds}`,
    ratelimit: `"${policy}";r=${remaining};t=${resetSeconds}`,
  }
}

/** When to come back, for a refusal that knows it. */
export function refusalHeaders({ extra }: DomainError): Headers {
  const { policy, limit, windowSeconds, retryAfterSeconds } = extra
  if (typeof retryAfterSeconds !== 'number') return {}
  return {
    'retry-after': String(retryAfterSeconds),
    'ratelimit-policy': `"${String(policy)}";q=${String(limit)};w=${String(windowSeconds)}`,
    ratelimit: `"${String(policy)}";r=0;t=${retryAfterSeconds}`,
  }
}
