import { assert } from '../assert.ts'
import type { JsonObject } from '../json.ts'
import { testEventType } from './event-types.ts'

/** 20 KB: what Standard Webhooks recommends at most. Counted in decimal, the stricter reading. */
export const webhookBodyBytesMax = 20_000

const ellipsis = '…'

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
  if (byteLength(slim) <= webhookBodyBytesMax) return slim
  assert(error !== null, 'only an error message makes a webhook too large without metadata')
  const withMessage = (message: string) =>
    JSON.stringify({ type, timestamp, data: { ...known, error: { ...error, message } } })
  const roomBytes = webhookBodyBytesMax - byteLength(withMessage(ellipsis))
  assert(roomBytes >= 0, 'a webhook fits without an error message')
  return withMessage(beginning(error.message, roomBytes) + ellipsis)
}

/** The body of an event that only shows that an endpoint is reached. */
export function testWebhookBody(endpointId: string, at: string): string {
  return JSON.stringify({ type: testEventType, timestamp: at, data: { endpointId } })
}

/** As many whole characters as fit into `roomBytes` when written as JSON. */
function beginning(message: string, roomBytes: number): string {
  let kept = ''
  let leftBytes = roomBytes
  for (const character of message) {
    leftBytes -= byteLength(JSON.stringify(character)) - '""'.length
    if (leftBytes < 0) break
    kept += character
  }
  return kept
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length
}
