import type { LimitWindow } from '../../domain/account/limit-window.ts'
import { limitWindows, quotaWindows } from '../../domain/account/limit-window.ts'
import { identityOf, limitKinds, limitScopes, limitsMax } from '../../domain/account/limits.ts'
import type { Limit, LimitKind, LimitScope } from '../../domain/account/limits.ts'
import { invalid } from '../../domain/errors.ts'
import type { FieldError } from '../../domain/errors.ts'
import { amountMicroMax } from '../../domain/pricing/money.ts'
import { priceUnits } from '../../domain/pricing/price-book.ts'
import { endingTime, envelope } from './envelope.ts'

// The bodies of the commands on an org's standing.

/** Requests that may be limited to per window: beyond that a limit is none. */
const requestsMax = 1_000_000_000

const reason = {
  ...{ type: 'string', minLength: 1, maxLength: 1_000, format: 'text' },
  description: 'Why; kept with your name.',
} as const

const until = {
  ...{ type: ['string', 'null'], format: 'time' },
  description: 'When it ends by itself; null for never.',
} as const

type LimitBody = {
  readonly scope: LimitScope
  readonly key?: string | null
  readonly kind: LimitKind
  readonly window?: LimitWindow | null
  readonly unit?: string | null
  readonly max: number | string
  readonly until?: string | null
}

export const limitSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['scope', 'kind', 'max'],
  properties: {
    scope: {
      ...{ type: 'string', enum: limitScopes },
      description: 'Whose use is counted: of the whole org, of a user, at a provider, of a type.',
    },
    key: {
      ...{ type: ['string', 'null'], minLength: 1, maxLength: 128, format: 'text' },
      description: 'The user, provider or job type; null for each of them, counted apart.',
    },
    kind: {
      ...{ type: 'string', enum: limitKinds },
      description: 'Submitted jobs (at a provider: calls), units, running jobs, or credits.',
    },
    window: {
      ...{ type: ['string', 'null'], enum: [...limitWindows, null] },
      description: 'Per what. Requests slide; units and spend are counted per UTC day or month.',
    },
    unit: {
      ...{ type: ['string', 'null'], enum: [...priceUnits, null] },
      description: 'What is counted when the kind is units.',
    },
    max: {
      ...{ type: ['integer', 'string'], minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      ...{ format: 'amount' },
      description: 'How much; micro-credits when the kind is spend. Zero lets nothing through.',
    },
    until: { ...until, description: 'An override: comes before the lasting limit until then.' },
  },
} as const

export type LimitsRequest = { readonly limits: readonly LimitBody[]; readonly reason?: string }
export const limitsRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['limits'],
  properties: {
    limits: {
      ...{ type: 'array', maxItems: limitsMax, items: limitSchema },
      description: 'All limits of the org, instead of those it has.',
    },
    reason,
  },
} as const
export const limitsRequest = envelope<LimitsRequest>(limitsRequestSchema)

export type ThrottleRequest = {
  readonly requestsPerMinute: number
  readonly reason: string
  readonly until?: string | null
}
export const throttleRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['requestsPerMinute', 'reason'],
  properties: {
    requestsPerMinute: {
      ...{ type: 'integer', minimum: 0, maximum: requestsMax },
      description: 'Jobs that the org may submit.',
    },
    reason,
    until,
  },
} as const
export const throttleRequest = envelope<ThrottleRequest>(throttleRequestSchema)

export type ReasonRequest = { readonly reason: string }
export const reasonRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['reason'],
  properties: { reason },
} as const
export const reasonRequest = envelope<ReasonRequest>(reasonRequestSchema)

/**
 * Reads limits that the schema has let through.
 *
 * @throws DomainError when they contradict themselves or each other, or are over already
 */
export function limitsOf({ limits }: LimitsRequest, now: number): readonly Limit[] {
  const errors: FieldError[] = []
  const read = limits.map((body, index) => {
    for (const { pointer, detail } of problemsOf(body)) {
      errors.push({ pointer: `/limits/${index}${pointer}`, detail })
    }
    const { scope, key = null, kind, window = null, unit = null, max } = body
    const until = endingTime(body.until, { now, pointer: `/limits/${index}/until` })
    return { scope, key, kind, window, unit, max, until }
  })
  const identities = read.map(identityOf)
  identities.forEach((identity, index) => {
    if (identities.indexOf(identity) === index) return
    errors.push({ pointer: `/limits/${index}`, detail: 'is there twice' })
  })
  if (errors.length > 0) throw invalid('invalid_request', errors)
  return read
}

function problemsOf({ scope, key, kind, window, unit, max }: LimitBody): readonly FieldError[] {
  const errors: FieldError[] = []
  const wrong = (pointer: string, detail: string) => errors.push({ pointer, detail })
  const isQuota = kind === 'units' || kind === 'spend'
  if (scope === 'org' && key) wrong('/key', 'must be absent: the org is one')
  if (scope === 'jobType' && isQuota) wrong('/scope', `cannot be jobType for ${kind}`)
  if (kind === 'concurrency' && window) wrong('/window', 'must be absent for concurrency')
  if (kind === 'requests' && !window) wrong('/window', 'is required for requests')
  if (isQuota && !quotaWindows.some((known) => known === window)) {
    wrong('/window', `must be day or month for ${kind}`)
  }
  if (kind === 'units' && !unit) wrong('/unit', 'is required for units')
  if (kind !== 'units' && unit) wrong('/unit', `must be absent for ${kind}`)
  if (!isQuota && Number(max) > requestsMax) wrong('/max', `must be at most ${requestsMax}`)
  if (BigInt(max) > amountMicroMax) wrong('/max', `must be at most ${amountMicroMax}`)
  return errors
}
