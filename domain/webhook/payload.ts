import { assert } from '../assert.ts'
import type { JsonObject } from '../json.ts'

/** 20 KB: what Standard Webhooks recommends at most. Counted in decimal, the stricter reading. */
export const webhookBodyBytesMax = 20_000

/** What a webhook tells about a job. */
export type WebhookData = {
  readonly jobId: string
  readonly type: string
  readonly status: string
  /** 0 to 100. */
  readonly progress: number
  /** Absolute. */
  readonly resultUrl: string | null
  readonly error: {
    readonly code: string
    readonly message: string
    readonly retryable: boolean
  } | null
  /** The revision of the job: deliveries can arrive out of order, receivers drop lower ones. */
  readonly sequence: number
  readonly userId: string | null
  readonly metadata: JsonObject
}

/** `type` is a public event type; `timestamp` is when it happened, ISO 8601. */
export type WebhookEvent = {
  readonly type: string
  readonly timestamp: string
  readonly data: WebhookData
}

/**
 * The body of a delivery, as it is signed and sent, in at most `webhookBodyBytesMax` bytes. What
 * is too large loses `metadata` first, then the end of the error's message.
 */
export function webhookBody({ type, timestamp, data }: WebhookEvent): string {
  const { jobId, status, progress, resultUrl, error, sequence, userId, metadata } = data
  const known = { jobId, type: data.type, status, progress, resultUrl, error, sequence, userId }
  const whole = JSON.stringify({ type, timestamp, data: { ...known, metadata } })
  if (byteLength(whole) <= webhookBodyBytesMax) return whole
  const slim = JSON.stringify({ type, timestamp, data: known })
  const overBytes = byteLength(slim) - webhookBodyBytesMax
  if (overBytes <= 0) return slim
  assert(error !== null, 'only an error message makes a webhook too large without metadata')
  const shorter = { ...error, message: shortened(error.message, overBytes) }
  const shortest = JSON.stringify({ type, timestamp, data: { ...known, error: shorter } })
  assert(byteLength(shortest) <= webhookBodyBytesMax, 'a webhook fits with a short error message')
  return shortest
}

/** Takes at least `bytes` bytes off the end: no character has less than one. */
function shortened(message: string, bytes: number): string {
  const ellipsis = '…'
  const kept = Array.from(message)
  return kept.slice(0, Math.max(0, kept.length - bytes - byteLength(ellipsis))).join('') + ellipsis
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length
}
