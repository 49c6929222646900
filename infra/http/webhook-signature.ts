import { createHmac, timingSafeEqual } from 'node:crypto'

const secretPrefix = 'whsec_'

/** What Standard Webhooks 1.0.0 allows for the random part of a secret. */
const webhookSecretBytesMin = 24
const webhookSecretBytesMax = 64

/** What a delivery's signature covers. */
type SignedMessage = {
  readonly id: string
  readonly timestampSeconds: number
  readonly body: string
}

/** Writes random bytes as a secret: `whsec_` and base64. */
export function newWebhookSecret(bytes: Uint8Array): string {
  if (bytes.length < webhookSecretBytesMin || bytes.length > webhookSecretBytesMax) {
    throw new RangeError(`A webhook secret has 24 to 64 bytes, not ${bytes.length}.`)
  }
  return `${secretPrefix}${Buffer.from(bytes).toString('base64')}`
}

/**
 * The value of `webhook-signature` (Standard Webhooks 1.0.0, symmetric): one signature for each
 * secret, separated by spaces, so that receivers can change over while a secret is rotated.
 */
export function signWebhook(message: SignedMessage & { readonly secrets: readonly string[] }) {
  if (message.secrets.length === 0) throw new RangeError('A webhook needs a secret.')
  return message.secrets
    .map((secret) => `v1,${digest(message, secret).toString('base64')}`)
    .join(' ')
}

/**
 * What a receiver does. Compares in constant time.
 *
 * @returns whether one signature of the header fits one of the secrets and the time is near now
 */
export function verifyWebhook(
  message: SignedMessage & {
    readonly signature: string
    readonly secrets: readonly string[]
    readonly nowSeconds: number
    readonly toleranceSeconds?: number
  },
): boolean {
  const ageSeconds = Math.abs(message.nowSeconds - message.timestampSeconds)
  if (!(ageSeconds <= (message.toleranceSeconds ?? 300))) return false
  const given = message.signature
    .split(' ')
    .filter((part) => part.startsWith('v1,'))
    .map((part) => Buffer.from(part.slice('v1,'.length), 'base64'))
  const wanted = message.secrets.map((secret) => digest(message, secret))
  return wanted.some((want) =>
    given.some((got) => got.length === want.length && timingSafeEqual(got, want)),
  )
}

function digest({ id, timestampSeconds, body }: SignedMessage, secret: string): Buffer {
  const bare = secret.startsWith(secretPrefix) ? secret.slice(secretPrefix.length) : secret
  const key = Buffer.from(bare, 'base64')
  if (key.length < webhookSecretBytesMin) throw new RangeError('The webhook secret is too short.')
  return createHmac('sha256', key).update(`${id}.${timestampSeconds}.${body}`).digest()
}
