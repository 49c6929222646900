import type { Priority } from '../../domain/job/job-events.ts'
import type { JsonObject } from '../../domain/json.ts'
import { publicEventTypes } from '../../domain/catalog.ts'
import { invalid } from '../../domain/errors.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { envelope, parseTime } from '../http/envelope.ts'

/** Longest `userId`, characters. */
export const userIdLengthMax = 128
/** Largest `metadata`, characters of JSON. */
export const metadataLengthMax = 16_384
/** Longest deadline: 30 days. */
export const deadlineSecondsMax = 2_592_000
/** How far ahead a job may be put: a hundred years, so that its deadline can be stored too, ms. */
const runAheadMsMax = 36_525 * 86_400_000
/** Jobs in one batch. */
export const batchJobsMax = 1_000

/** The body of `POST /v1/jobs`. */
export type JobRequest = {
  readonly type: string
  readonly input: JsonObject
  readonly userId?: string | null
  readonly priority?: Priority
  readonly webhook?: { readonly url: string; readonly events?: readonly string[] } | null
  readonly metadata?: JsonObject
  readonly runAt?: string | null
  readonly deadlineSeconds?: number | null
}

export const jobRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['type', 'input'],
  properties: {
    type: {
      ...{ type: 'string', minLength: 1, maxLength: 100, format: 'text' },
      description: 'One of `GET /v1/job-types`.',
    },
    input: { type: 'object', description: 'Of the form that the job type asks for.' },
    userId: {
      ...{ type: ['string', 'null'], minLength: 1, maxLength: userIdLengthMax, format: 'text' },
      description: 'Your user: for filters, usage and client tokens.',
    },
    priority: {
      ...{ type: 'string', enum: ['low', 'normal', 'high'], default: 'normal' },
      description: 'Jobs of a higher one start first.',
    },
    webhook: {
      type: ['object', 'null'],
      additionalProperties: false,
      description: 'Where the job reports to; signed with `GET /v1/webhook-secret`.',
      required: ['url'],
      properties: {
        url: {
          ...{ type: 'string', minLength: 1, maxLength: 2_000, format: 'text' },
          description: 'https, and a public address.',
        },
        events: {
          type: 'array',
          uniqueItems: true,
          items: { type: 'string', enum: Object.values(publicEventTypes) },
          description: 'Default: `job.started` and the ends.',
        },
      },
    },
    metadata: { type: 'object', description: 'Yours; at most 16 KB.' },
    runAt: {
      ...{ type: ['string', 'null'], format: 'time' },
      description: 'Not before this time, within a hundred years; without a zone it is UTC.',
    },
    deadlineSeconds: {
      ...{ type: ['integer', 'null'], minimum: 1, maximum: deadlineSecondsMax },
      description:
        'From acceptance or `runAt`: not started by then is `expired`, not finished is `failed`.',
    },
  },
} as const

export const jobRequest = envelope<JobRequest>(jobRequestSchema)

/** When the job may start; null for at once. @throws DomainError when that is too far */
export function runAtOf({ runAt }: Pick<JobRequest, 'runAt'>, now: number): string | null {
  const ms = runAt ? parseTime(runAt) : null
  if (ms === null || ms <= now) return null
  if (ms > now + runAheadMsMax) {
    const detail = 'must be within a hundred years'
    throw invalid('invalid_request', [{ pointer: '/runAt', detail }])
  }
  return isoTime(ms)
}
