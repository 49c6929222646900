import type { ApiKeyIssued, UsageRecorded } from './account-events.ts'
import type { GrantKind } from './burn.ts'
import type { Planned } from './quota.ts'
import type { StandingCommand } from './standing.ts'
import type { WebhookEndpointCommand } from './webhook-endpoints.ts'

// What can be asked of an account. Times and ids arrive in the command.

/** What a worker tells about one provider call; the price is computed before it comes here. */
export type Usage = Omit<
  UsageRecorded['data'],
  'allocations' | 'uncoveredMicro' | 'fromHoldMicro' | 'overrunMicro'
>

export type AccountCommand =
  | {
      readonly type: 'OpenAccount'
      readonly orgId: string
      readonly name: string
      readonly overdraft: bigint
      readonly at: string
    }
  | ({ readonly type: 'IssueApiKey' } & ApiKeyIssued['data'])
  | { readonly type: 'RevokeApiKey'; readonly keyId: string; readonly at: string }
  | {
      readonly type: 'GrantCredits'
      readonly grantId: string
      readonly kind: GrantKind
      readonly amount: bigint
      readonly reason: string
      readonly priority: number
      readonly expiresAt: string | null
      readonly at: string
    }
  | {
      readonly type: 'AdjustCredits'
      readonly adjustmentId: string
      /** Positive gives, negative takes. */
      readonly amount: bigint
      readonly reason: string
      readonly at: string
    }
  | { readonly type: 'ExpireCredits'; readonly at: string }
  | {
      readonly type: 'HoldCredits'
      readonly holdId: string
      readonly jobId: string
      readonly amount: bigint
      readonly at: string
      readonly expiresAt: string
      /** Whose quotas it counts for, beside the org's. */
      readonly userId?: string | null
      /** What the job will use at most, by provider. */
      readonly planned?: readonly Planned[]
      /** The limits that admission has judged by; refused as stale when there are newer ones. */
      readonly standingVersion?: number
    }
  | { readonly type: 'RecordUsage'; readonly usage: Usage; readonly at: string }
  | {
      readonly type: 'SettleHold'
      readonly holdId: string
      readonly jobId: string
      readonly outcome: string
    }
  | WebhookEndpointCommand
  | StandingCommand
