import { DomainError } from '../../../domain/errors.ts'
import type { Refusal } from './problems.ts'

/** The account cannot hold what a job needs. */
export const cannotPay: Refusal = {
  when: 'The account cannot hold what the job needs at most. Nothing was queued.',
  error: new DomainError(
    'insufficient_credits',
    'This needs 1000000 micro-credits; 250000 are available, 50000 are held.',
    { required: '1000000', available: '250000', held: '50000' },
  ),
}

/** Why a job is not let in, in the order in which it is looked at. */
export const admissionRefusals: readonly Refusal[] = [
  {
    when: 'The organisation is banned.',
    error: new DomainError('account_banned', 'The account is banned: it takes no new jobs.'),
  },
  {
    when: 'An operator has throttled the organisation.',
    error: new DomainError(
      'account_throttled',
      'The account is throttled to 10 requests per 60 s; 10 are used.',
      {
        ...{ limit: 10, scope: 'org', used: 10, resetAt: '2026-01-31T09:00:06.000Z' },
        ...{ policy: 'org-throttle', windowSeconds: 60, retryAfterSeconds: 6 },
      },
    ),
  },
  {
    when: 'More jobs than a limit lets through: of the organisation, the user or the job type.',
    error: new DomainError('rate_limited', 'The org has 5 requests per 60 s; 5 are used.', {
      ...{ limit: 5, scope: 'org', used: 5, resetAt: '2026-01-31T09:00:12.000Z' },
      ...{ policy: 'org-requests', windowSeconds: 60, retryAfterSeconds: 12 },
    }),
  },
  {
    when: 'The quota of a day or month does not hold what the job needs at most.',
    error: new DomainError(
      'quota_exceeded',
      "The month's quota of 500000000 micro-credits is used up: 499990000 are used or held.",
      {
        ...{ limit: '500000000', scope: 'org', used: '499990000' },
        ...{ resetAt: '2026-02-01T00:00:00.000Z', policy: 'org-spend' },
        ...{ windowSeconds: 2_678_400, retryAfterSeconds: 54_000 },
      },
    ),
  },
  cannotPay,
]
