import { limitWindows } from '../../../domain/account/limit-window.ts'
import { limitKinds, limitScopes } from '../../../domain/account/limits.ts'
import type { Throttle } from '../../../domain/account/standing.ts'
import type { LimitView, StandingView } from '../../queries/show-limits.ts'
import { limitsRequestSchema, reasonRequestSchema, throttleRequestSchema } from '../limit-bodies.ts'
import { choice, count, listOf, object, orNull, published, ref, text, time } from './schema.ts'
import { uuid } from './schema.ts'
import type { Schema } from './schema.ts'

const size: Schema = {
  type: ['integer', 'string'],
  description: 'How much, as it was given; micro-credits when the kind is spend.',
}

/** Whether an organisation may submit, and how much. */
export const standingMembers = {
  status: choice(
    ['active', 'throttled', 'banned'],
    'A throttled organisation submits less than it might, a banned one nothing.',
  ),
  throttle: orNull(ref('Throttle')),
  limits: listOf(ref('Limit'), 'What is in force; none means no limit.'),
}

export const limitSchemas: Readonly<Record<string, Schema>> = {
  LimitsRequest: published(limitsRequestSchema),
  ThrottleRequest: published(throttleRequestSchema),
  ReasonRequest: published(reasonRequestSchema),
  Standing: object<StandingView & { orgId: string }>('How much an organisation may submit.', {
    orgId: uuid('The organisation.'),
    ...standingMembers,
  }),
  Throttle: object<Throttle>('A brake on a whole organisation.', {
    requestsPerMinute: count('Jobs that it may submit.'),
    reason: text('Why.'),
    until: orNull(time('When it ends by itself; null for never.')),
  }),
  Limit: object<LimitView>(
    'A limit on jobs.',
    {
      scope: choice(limitScopes, 'Whose use is counted.'),
      key: orNull(text('The user, provider or job type; null for each of them, counted apart.')),
      kind: choice(
        limitKinds,
        'Submitted jobs (at a provider: calls), units, running jobs, or credits.',
      ),
      window: {
        ...{ type: ['string', 'null'], enum: [...limitWindows, null] },
        description:
          'Per what; null for running jobs. Requests slide, and a whole window’s may come at ' +
          'once; units and spend are counted per UTC day or month.',
      },
      unit: orNull(text('What is counted when the kind is units.')),
      max: size,
      until: orNull(time('An override ends then; null for a lasting limit.')),
      used: {
        ...size,
        description: 'What of it is used or held, as far as the account counts that for one.',
      },
    },
    ['used'],
  ),
}
