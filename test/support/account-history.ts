import { accountDecider } from '../../domain/account/account.ts'
import type { ApiKey } from '../../domain/account/api-keys.ts'
import type { AccountCommand, Usage } from '../../domain/account/account-commands.ts'
import type { AccountEvent } from '../../domain/account/account-events.ts'
import type { Limit } from '../../domain/account/limits.ts'
import { at } from './job-history.ts'

type Of<Type extends AccountCommand['type']> = Extract<AccountCommand, { type: Type }>

export function openAccount(overdraft = 0n): Of<'OpenAccount'> {
  return { type: 'OpenAccount', orgId: 'acme', name: 'Acme', overdraft, at: at(0) }
}

export function apiKey(keyId: string): ApiKey {
  const secretSha256 = 'cd'.repeat(32)
  return { keyId, name: 'server', scopes: ['jobs:write'], secretSha256, issuedAt: at(1) }
}

export function issueKey(keyId: string): AccountCommand {
  return { type: 'IssueApiKey', ...apiKey(keyId) }
}

export function revokeKey(keyId: string): AccountCommand {
  return { type: 'RevokeApiKey', keyId, at: at(9) }
}

type Grant = Of<'GrantCredits'>

export function grant(grantId: string, amount: bigint, more: Partial<Grant> = {}): Grant {
  const terms = { kind: 'purchase', priority: 100, expiresAt: null, reason: 'bought' } as const
  return { type: 'GrantCredits', grantId, amount, at: at(1), ...terms, ...more }
}

export function adjust(adjustmentId: string, amount: bigint, time = at(1)): Of<'AdjustCredits'> {
  return { type: 'AdjustCredits', adjustmentId, amount, reason: 'goodwill', at: time }
}

export const expire = (time: string): AccountCommand => ({ type: 'ExpireCredits', at: time })

export function hold(holdId: string, amount: bigint, time = at(2)): Of<'HoldCredits'> {
  return { type: 'HoldCredits', holdId, jobId: holdId, amount, at: time, expiresAt: at(9e4) }
}

export function usage(usageId: string, holdId: string, charged: bigint): Usage {
  return {
    usageId,
    holdId,
    jobId: holdId,
    jobType: 'image.upscale',
    userId: null,
    provider: 'local',
    model: null,
    units: { megapixels: '12' },
    ms: 30,
    costNanoUsd: '7',
    costRemainderPico: '-3',
    chargedMicro: charged.toString(),
    priceRemainderPico: '0',
    priceVersion: 1,
    priced: true,
    calledAt: at(3),
  }
}

/** Records usage `usageId` on a hold. */
export function use(
  usageId: string,
  holdId: string,
  charged: bigint,
  time = at(3),
): AccountCommand {
  return { type: 'RecordUsage', usage: usage(usageId, holdId, charged), at: time }
}

export function settle(holdId: string): AccountCommand {
  return { type: 'SettleHold', holdId, jobId: holdId, outcome: 'succeeded' }
}

export function registerEndpoint(
  endpointId: string,
  more: Partial<Of<'RegisterWebhookEndpoint'>> = {},
): Of<'RegisterWebhookEndpoint'> {
  const url = `https://${endpointId}.example.com/hooks`
  return { type: 'RegisterWebhookEndpoint', endpointId, url, events: null, at: at(1), ...more }
}

export function removeEndpoint(endpointId: string, time = at(9)): AccountCommand {
  return { type: 'RemoveWebhookEndpoint', endpointId, at: time }
}

export function rotateSecret(
  endpointId: string,
  rotationId: string,
  time = at(5),
): Of<'RotateWebhookSecret'> {
  return { type: 'RotateWebhookSecret', endpointId, rotationId, at: time }
}

/** The receiver answered a delivery with 410. */
export function disableEndpoint(endpointId: string): Of<'DisableWebhookEndpoint'> {
  return { type: 'DisableWebhookEndpoint', endpointId, deliveryId: 'd1', at: at(7) }
}

export function enableEndpoint(endpointId: string): Of<'EnableWebhookEndpoint'> {
  return { type: 'EnableWebhookEndpoint', endpointId, at: at(8) }
}

/** A limit of an org: by default on its requests per minute. */
export function limit(more: Partial<Limit> = {}): Limit {
  const terms = { scope: 'org', key: null, kind: 'requests', window: 'minute' } as const
  return { ...terms, unit: null, max: 5, until: null, ...more }
}

export function setLimits(limits: readonly Limit[], time = at(1)): Of<'SetLimits'> {
  return { type: 'SetLimits', limits, reason: 'plan', at: time }
}

export function throttle(
  requestsPerMinute: number,
  until: string | null = null,
): Of<'ThrottleAccount'> {
  return { type: 'ThrottleAccount', requestsPerMinute, until, reason: 'too much', at: at(1) }
}

export const ban: Of<'BanAccount'> = { type: 'BanAccount', reason: 'fraud', at: at(2) }

export const reinstate: Of<'ReinstateAccount'> = {
  ...{ type: 'ReinstateAccount', reason: 'a mistake', at: at(3) },
}

/** The events that the commands leave, each decided on what the ones before it made. */
export function historyOf(...commands: readonly AccountCommand[]): readonly AccountEvent[] {
  let state = accountDecider.initial
  const events: AccountEvent[] = []
  for (const command of commands) {
    const decided = accountDecider.decide(state, command)
    for (const event of decided) state = accountDecider.evolve(state, event)
    events.push(...decided)
  }
  return events
}

const alerts: readonly string[] = ['BalanceThresholdReached', 'LimitThresholdReached']

export function isAlert({ type }: { readonly type: string }): boolean {
  return alerts.includes(type)
}
