import type { Units } from '../pricing/price-book.ts'
import type { GrantKind } from './burn.ts'
import type { QuotaWindow } from './limit-window.ts'
import type { Limit, LimitKind, LimitScope } from './limits.ts'

// The storage format of account streams: names and fields never change, they get versions.
// Every amount is a string of an integer: micro-credits, unless the name says otherwise.

export type Scope = 'jobs:write' | 'jobs:read' | 'billing:read' | 'webhooks:write'
/** What a key can be allowed. */
export const allScopes: readonly Scope[] = [
  'jobs:write',
  'jobs:read',
  'billing:read',
  'webhooks:write',
]
export type StoredAllocation = { readonly grantId: string; readonly amountMicro: string }
/** What a job will use of one provider at most. */
export type StoredPlan = {
  readonly provider: string
  readonly amountMicro: string
  readonly units: Units
}

/** An organisation has an account, with the overdraft that it may use. */
export type AccountOpened = {
  readonly type: 'AccountOpened'
  readonly data: {
    readonly orgId: string
    readonly name: string
    readonly overdraftMicro: string
    readonly openedAt: string
  }
}
/** An API key may act for the organisation from now on. */
export type ApiKeyIssued = {
  readonly type: 'ApiKeyIssued'
  readonly data: {
    readonly keyId: string
    readonly name: string
    readonly scopes: readonly Scope[]
    /** SHA-256 of the key's secret part, hex. It has 190 bits, so no slow hash is needed. */
    readonly secretSha256: string
    readonly issuedAt: string
  }
}
/** An API key may act no more. */
export type ApiKeyRevoked = {
  readonly type: 'ApiKeyRevoked'
  readonly data: { readonly keyId: string; readonly revokedAt: string }
}
/** Credits were given: bought, promised by a plan, promoted, refunded or adjusted. */
export type CreditsGranted = {
  readonly type: 'CreditsGranted'
  readonly data: {
    readonly grantId: string
    readonly kind: GrantKind
    readonly amountMicro: string
    /** The part that paid an earlier debt and is gone at once. */
    readonly coversDebtMicro: string
    readonly priority: number
    readonly effectiveAt: string
    readonly expiresAt: string | null
    readonly reason: string
    /** The balance before and after it; absent in what was written by earlier versions. */
    readonly postedBeforeMicro?: string
    readonly postedAfterMicro?: string
  }
}
/** Credits were taken back by a person, from the grants named in the allocations. */
export type CreditsRevoked = {
  readonly type: 'CreditsRevoked'
  readonly data: {
    readonly revocationId: string
    readonly kind: 'adjustment'
    readonly amountMicro: string
    readonly allocations: readonly StoredAllocation[]
    readonly uncoveredMicro: string
    readonly reason: string
    /** The balance before and after it; absent in what was written by earlier versions. */
    readonly postedBeforeMicro?: string
    readonly postedAfterMicro?: string
  }
}
/** What was left of a grant, and not reserved, ended with its expiry date. */
export type CreditsExpired = {
  readonly type: 'CreditsExpired'
  readonly data: { readonly grantId: string; readonly amountMicro: string }
}
/** Credits are reserved for a job until its end. */
export type CreditsHeld = {
  readonly type: 'CreditsHeld'
  readonly data: {
    readonly holdId: string
    readonly jobId: string
    readonly amountMicro: string
    readonly heldAt: string
    readonly expiresAt: string
    /** Whose quotas it counts for; absent for nobody's but the org's. */
    readonly userId?: string
    /** Absent when it is not known any more what the job will call. */
    readonly planned?: readonly StoredPlan[]
  }
}
/** A provider call was metered and charged, exactly once. */
export type UsageRecorded = {
  readonly type: 'UsageRecorded'
  readonly data: {
    readonly usageId: string
    readonly holdId: string
    readonly jobId: string
    readonly jobType: string
    readonly userId: string | null
    readonly provider: string
    readonly model: string | null
    readonly units: Units
    readonly ms: number
    readonly costNanoUsd: string
    readonly costRemainderPico: string
    readonly chargedMicro: string
    readonly priceRemainderPico: string
    readonly priceVersion: number
    /** False when a unit had no price: somebody must look. */
    readonly priced: boolean
    readonly allocations: readonly StoredAllocation[]
    /** Beyond every grant: debt within the overdraft, or beyond it after an overrun. */
    readonly uncoveredMicro: string
    readonly fromHoldMicro: string
    /** Beyond the hold: taken from the balance alone. */
    readonly overrunMicro: string
    readonly calledAt: string
  }
}
/** A hold ended: its calls stay charged, the remainder is available again. */
export type HoldSettled = {
  readonly type: 'HoldSettled'
  readonly data: {
    readonly holdId: string
    readonly jobId: string
    readonly chargedMicro: string
    readonly releasedMicro: string
    readonly outcome: string
  }
}
/** Webhooks go to this URL too from now on: of every job of the organisation. */
export type WebhookEndpointRegistered = {
  readonly type: 'WebhookEndpointRegistered'
  readonly data: {
    readonly endpointId: string
    readonly url: string
    /** Public event types; null for those that a webhook gets when it does not say. */
    readonly events: readonly string[] | null
    readonly registeredAt: string
  }
}
/** Nothing is sent to the endpoint any more. */
export type WebhookEndpointRemoved = {
  readonly type: 'WebhookEndpointRemoved'
  readonly data: { readonly endpointId: string; readonly removedAt: string }
}
/** An endpoint has a new secret; the one before it signs as well for a while. */
export type WebhookSecretRotated = {
  readonly type: 'WebhookSecretRotated'
  readonly data: {
    readonly endpointId: string
    readonly rotationId: string
    /** The first secret is version 1. Secrets follow from it and are stored nowhere. */
    readonly secretVersion: number
    readonly rotatedAt: string
    /** When the secret before this one ends. */
    readonly previousEndsAt: string
  }
}
/** The receiver said that nobody listens any more: nothing new is sent to the endpoint. */
export type WebhookEndpointDisabled = {
  readonly type: 'WebhookEndpointDisabled'
  readonly data: {
    readonly endpointId: string
    /** The delivery that was answered so. */
    readonly deliveryId: string
    readonly disabledAt: string
  }
}
/** Somebody listens again: the endpoint gets what is new. */
export type WebhookEndpointEnabled = {
  readonly type: 'WebhookEndpointEnabled'
  readonly data: {
    readonly endpointId: string
    readonly url: string
    readonly events: readonly string[] | null
    readonly enabledAt: string
  }
}

/** From now on these are the organisation's limits; what was used of them stays used. */
export type LimitsSet = {
  readonly type: 'LimitsSet'
  readonly data: {
    readonly limits: readonly Limit[]
    readonly previous: readonly Limit[]
    readonly reason: string
    readonly setAt: string
  }
}
export type AccountStatus = 'active' | 'throttled' | 'banned'
/** How an account stood before somebody changed that. */
export type StoredStanding = {
  readonly status: AccountStatus
  readonly throttle: { readonly requestsPerMinute: number; readonly until: string | null } | null
}
/** The organisation may submit only so much for a while. */
export type AccountThrottled = {
  readonly type: 'AccountThrottled'
  readonly data: {
    readonly requestsPerMinute: number
    /** Null for until it is reinstated. */
    readonly until: string | null
    readonly reason: string
    readonly throttledAt: string
    /** Absent in what was written by earlier versions. */
    readonly previous?: StoredStanding
  }
}
/** The organisation may submit nothing more; what runs ends as it would. */
export type AccountBanned = {
  readonly type: 'AccountBanned'
  readonly data: {
    readonly reason: string
    readonly bannedAt: string
    /** Absent in what was written by earlier versions. */
    readonly previous?: StoredStanding
  }
}
/** Ban and throttle are lifted. */
export type AccountReinstated = {
  readonly type: 'AccountReinstated'
  readonly data: {
    readonly reason: string
    readonly reinstatedAt: string
    /** Absent in what was written by earlier versions. */
    readonly previous?: StoredStanding
  }
}

/** Where the money of an account stood. */
export type StoredBalance = {
  readonly postedMicro: string
  readonly heldMicro: string
  readonly overdraftMicro: string
  readonly availableMicro: string
}
/** So much of what was granted is used: the balance is low. */
export type BalanceThresholdReached = {
  readonly type: 'BalanceThresholdReached'
  readonly data: {
    /** 50, 80 or 100. */
    readonly percent: number
    /** What 100 % is: the grants that had something left at the last one, and the overdraft. */
    readonly grantedMicro: string
    readonly balance: StoredBalance
    readonly reachedAt: string
  }
}
/** So much of a quota of units or spend is used in a day or month, open holds included. */
export type LimitThresholdReached = {
  readonly type: 'LimitThresholdReached'
  readonly data: {
    readonly scope: LimitScope
    /** The user or provider who has used it; null for the org. */
    readonly key: string | null
    readonly kind: LimitKind
    readonly window: QuotaWindow
    readonly unit: string | null
    readonly max: number | string
    /** 50, 80 or 100. */
    readonly percent: number
    /** Units, or micro-credits when the kind is spend. */
    readonly used: string
    readonly windowStart: string
    readonly resetAt: string
    readonly balance: StoredBalance
    readonly reachedAt: string
  }
}

export type AlertEvent = BalanceThresholdReached | LimitThresholdReached

export type StandingEvent = LimitsSet | AccountThrottled | AccountBanned | AccountReinstated

export type WebhookEndpointEvent =
  | WebhookEndpointRegistered
  | WebhookEndpointRemoved
  | WebhookSecretRotated
  | WebhookEndpointDisabled
  | WebhookEndpointEnabled

export type AccountEvent =
  | AccountOpened
  | ApiKeyIssued
  | ApiKeyRevoked
  | CreditsGranted
  | CreditsRevoked
  | CreditsExpired
  | CreditsHeld
  | UsageRecorded
  | HoldSettled
  | WebhookEndpointEvent
  | StandingEvent
  | AlertEvent
