import type { JobWebhook, WebhookEvent } from './contract.ts'

const prefix = 'whsec_'
const toleranceSecondsDefault = 300

/** Headers as Fetch has them, or as Node or a gateway has them, in whatever case. */
export type WebhookHeaders =
  | { readonly get: (name: string) => string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>

export type VerifyOptions = {
  /** How far the clock of the sender may be away, and how old a delivery may be. */
  readonly toleranceSeconds?: number
  readonly now?: Date
}

/** A webhook that must not be believed: answer 401. `reason` is for your log. */
export class WebhookError extends Error {
  override readonly name = 'WebhookError'
  readonly reason: 'incomplete' | 'too_old' | 'too_new' | 'forged' | 'unreadable'

  constructor(reason: WebhookError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

/**
 * Checks that weir sent this body now, and gives the event in it (Standard Webhooks 1.0.0). One of
 * the signatures has to fit one of the secrets, so that either side can rotate.
 *
 * @param rawBody the bytes as they came in, before any parsing
 * @param secret `whsec_…`, or several of them during a rotation
 * @throws WebhookError when the delivery is not genuine
 * @throws RangeError when a secret is none
 * @throws TypeError when the body was parsed already
 */
export async function verifyWebhook(
  rawBody: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  { toleranceSeconds = toleranceSecondsDefault, now = new Date() }: VerifyOptions = {},
): Promise<WebhookEvent> {
  const isRaw = typeof rawBody === 'string' || ArrayBuffer.isView(rawBody)
  if (!isRaw) throw new TypeError('rawBody must be the bytes as they came in, before any parsing.')
  const secrets = typeof secret === 'string' ? [secret] : secret
  const keys = await Promise.all(secrets.map(importKey))
  const id = header(headers, 'webhook-id')
  const timestamp = header(headers, 'webhook-timestamp')
  const signatures = header(headers, 'webhook-signature').split(' ').flatMap(signatureIn)
  checkTime(timestamp, now, toleranceSeconds)
  const body = typeof rawBody === 'string' ? new TextEncoder().encode(rawBody) : rawBody
  const signed = concat(new TextEncoder().encode(`${id}.${timestamp}.`), body)
  const checks = keys.flatMap((key) =>
    // The platform compares in constant time.
    signatures.map((signature) => crypto.subtle.verify('HMAC', key, signature, signed)),
  )
  if (!(await Promise.all(checks)).includes(true)) {
    throw new WebhookError('forged', 'No signature of the webhook fits the secret.')
  }
  return eventIn(body)
}

/** Whether the webhook tells of a job, and so has a `sequence`. */
export function isJobWebhook(event: WebhookEvent): event is JobWebhook {
  return event.type.startsWith('job.')
}

async function importKey(secret: string) {
  const bytes = bytesOf(secret.startsWith(prefix) ? secret.slice(prefix.length) : secret)
  if (bytes === null || bytes.length === 0) {
    throw new RangeError('A webhook secret is whsec_ and base64.')
  }
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
}

function header(headers: WebhookHeaders, name: string): string {
  const value = isHeaders(headers) ? headers.get(name) : memberOf(headers, name)
  if (typeof value === 'string' && value !== '') return value
  throw new WebhookError('incomplete', `The webhook has no ${name}.`)
}

function memberOf(headers: Exclude<WebhookHeaders, { get: unknown }>, name: string) {
  return Object.entries(headers).find(([each]) => each.toLowerCase() === name)?.[1]
}

function isHeaders(headers: WebhookHeaders): headers is Extract<WebhookHeaders, { get: unknown }> {
  return typeof headers.get === 'function'
}

function checkTime(timestamp: string, now: Date, toleranceSeconds: number): void {
  const seconds = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) : Number.NaN
  const ageSeconds = now.getTime() / 1_000 - seconds
  if (Number.isNaN(ageSeconds)) {
    throw new WebhookError('incomplete', 'The time of the webhook is none.')
  }
  // A tolerance that is no number lets nothing pass.
  if (!(ageSeconds <= toleranceSeconds)) {
    throw new WebhookError('too_old', `The webhook is ${Math.round(ageSeconds)} seconds old.`)
  }
  if (-ageSeconds > toleranceSeconds) {
    throw new WebhookError('too_new', 'The webhook comes from the future: check the clocks.')
  }
}

/** The bytes of `v1,<base64>`; nothing for versions of other kinds. */
function signatureIn(text: string): readonly Uint8Array<ArrayBuffer>[] {
  const bytes = text.startsWith('v1,') ? bytesOf(text.slice('v1,'.length)) : null
  return bytes === null ? [] : [bytes]
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  } catch {
    return null
  }
}

function concat(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(head.length + tail.length)
  whole.set(head)
  whole.set(tail, head.length)
  return whole
}

function eventIn(body: Uint8Array): WebhookEvent {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as WebhookEvent
  } catch {
    throw new WebhookError('unreadable', 'The body of the webhook is not JSON.')
  }
}

export type { JobWebhook, WebhookEvent, WebhookJob } from './contract.ts'
