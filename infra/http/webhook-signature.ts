import { createHmac } from 'node:crypto'

const secretPrefix = 'whsec_'

/** The shortest random part of a secret that Standard Webhooks 1.0.0 allows. */
const webhookSecretBytesMin = 24

/** What a delivery's signature covers. */
type SignedMessage = {
  readonly id: string
  readonly timestampSeconds: number
  readonly body: string
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

function digest({ id, timestampSeconds, body }: SignedMessage, secret: string): Buffer {
  const bare = secret.startsWith(secretPrefix) ? secret.slice(secretPrefix.length) : secret
  const key = Buffer.from(bare, 'base64')
  if (key.length < webhookSecretBytesMin) throw new RangeError('The webhook secret is too short.')
  return createHmac('sha256', key).update(`${id}.${timestampSeconds}.${body}`).digest()
}
