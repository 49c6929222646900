import type { GrantKind } from '../../domain/account/burn.ts'
import { grantKinds } from '../../domain/account/burn.ts'
import { allScopes } from '../../domain/account/account-events.ts'
import type { Scope } from '../../domain/account/account-events.ts'
import { invalid } from '../../domain/errors.ts'
import { amountMicroMax } from '../../domain/pricing/money.ts'
import { priceUnits } from '../../domain/pricing/price-book.ts'
import type { PriceLine } from '../../domain/pricing/price-book.ts'
import { envelope } from './envelope.ts'

// The bodies of the admin's commands. Schemas stand here once: they check and they document.

const name = { type: 'string', minLength: 1, maxLength: 200, format: 'text' } as const
const reason = {
  ...{ type: 'string', minLength: 1, maxLength: 1_000, format: 'text' },
  description: 'Why; kept with your name.',
} as const

export type OrgRequest = { readonly name: string; readonly overdraft?: string }
export const orgRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name,
    overdraft: {
      ...{ type: 'string', format: 'amount', default: '0' },
      description: 'How far the balance may fall below zero, micro-credits.',
    },
  },
} as const
export const orgRequest = envelope<OrgRequest>(orgRequestSchema)

export type KeyRequest = { readonly name?: string; readonly scopes?: readonly Scope[] }
export const keyRequestSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    name,
    scopes: {
      type: 'array',
      minItems: 1,
      uniqueItems: true,
      items: { type: 'string', enum: allScopes },
      description: 'What the key may do; everything by default.',
    },
  },
} as const
export const keyRequest = envelope<KeyRequest>(keyRequestSchema)

export type GrantRequest = {
  readonly amount: string
  readonly kind: GrantKind
  readonly reason: string
  readonly expiresAt?: string | null
  readonly priority?: number
}
export const grantRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['amount', 'kind', 'reason'],
  properties: {
    amount: { type: 'string', format: 'amount', description: 'Micro-credits.' },
    kind: { type: 'string', enum: grantKinds, description: 'Where the credits come from.' },
    reason,
    expiresAt: {
      ...{ type: ['string', 'null'], format: 'time' },
      description: 'What is left then, and not held, is gone.',
    },
    priority: {
      ...{ type: 'integer', minimum: 0, maximum: 1_000, default: 100 },
      description: 'Lower ones are used up first.',
    },
  },
} as const
export const grantRequest = envelope<GrantRequest>(grantRequestSchema)

export type AdjustmentRequest = { readonly amount: string; readonly reason: string }
export const adjustmentRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['amount', 'reason'],
  properties: {
    amount: { type: 'string', format: 'signed-amount', description: 'Micro-credits; -n takes.' },
    reason,
  },
} as const
export const adjustmentRequest = envelope<AdjustmentRequest>(adjustmentRequestSchema)

export type PricesRequest = {
  readonly prices: readonly PriceLine[]
  readonly effectiveAt?: string | null
  readonly reason?: string
}
const decimal = { type: 'string', pattern: '^\\d{1,15}(\\.\\d{1,12})?$' } as const
export const pricesRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['prices'],
  properties: {
    prices: {
      type: 'array',
      minItems: 1,
      maxItems: 2_000,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['provider', 'model', 'unit', 'costUsd', 'priceCredits'],
        properties: {
          provider: name,
          model: {
            ...{ ...name, type: ['string', 'null'] },
            description: 'Null prices every model without a line of its own.',
          },
          unit: { type: 'string', enum: priceUnits },
          costUsd: { ...decimal, description: 'Provider cost per unit, USD.' },
          priceCredits: { ...decimal, description: 'Customer price per unit, credits.' },
        },
      },
    },
    effectiveAt: {
      type: ['string', 'null'],
      format: 'time',
      description: 'Default, and the earliest: now.',
    },
    reason,
  },
} as const
export const pricesRequest = envelope<PricesRequest>(pricesRequestSchema)

/** Reads an amount that the schema has let through. @throws DomainError beyond the limit or zero */
export function boundedAmount(text: string): bigint {
  const amount = BigInt(text)
  const size = amount < 0n ? -amount : amount
  if (size === 0n || size > amountMicroMax) {
    const detail = `must be from 1 to ${amountMicroMax} micro-credits`
    throw invalid('invalid_request', [{ pointer: '/amount', detail }])
  }
  return amount
}
