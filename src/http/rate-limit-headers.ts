import type { DomainError } from '../../domain/errors.ts'

// RateLimit header fields for HTTP, as the IETF's draft of that name writes them.

/** What is left of the tightest limit that a job was counted for. */
export type Allowance = {
  /** Its name: scope and kind. */
  readonly policy: string
  readonly limit: number
  readonly windowSeconds: number
  readonly remaining: number
  /** Until all of it is there again. */
  readonly resetSeconds: number
}

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
  const used = usedUp(extra)
  if (!used) return {}
  return { 'retry-after': String(used.resetSeconds), ...allowanceHeaders(used) }
}

/** The limit that has refused something; null when none has. */
export function usedUp(extra: Readonly<Record<string, unknown>>): Allowance | null {
  const { policy, limit, windowSeconds, retryAfterSeconds } = extra
  if (typeof retryAfterSeconds !== 'number') return null
  return {
    ...{ policy: String(policy), limit: Number(limit), windowSeconds: Number(windowSeconds) },
    ...{ remaining: 0, resetSeconds: retryAfterSeconds },
  }
}

/** Of several limits the one of which the smallest part is left. */
export function tightestOf(allowances: readonly (Allowance | null)[]): Allowance | null {
  const partOf = ({ remaining, limit }: Allowance): number => remaining / Math.max(limit, 1)
  const known = allowances.filter((allowance) => allowance !== null)
  return known.reduce<Allowance | null>(
    (least, each) => (least && partOf(least) <= partOf(each) ? least : each),
    null,
  )
}
