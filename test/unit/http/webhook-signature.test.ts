import { expect, test } from '@jest/globals'
import {
  newWebhookSecret,
  signWebhook,
  verifyWebhook,
} from '../../../infra/http/webhook-signature.ts'

// The example of the Standard Webhooks specification, which its libraries test against too.
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const message = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestampSeconds: 1_614_265_330,
  body: '{"test": 2432232314}',
}
const published = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
const other = newWebhookSecret(Buffer.alloc(32, 7))
const received = { ...message, signature: published, secrets: [secret], nowSeconds: 1_614_265_330 }

test('signs the example of the specification as published', () => {
  expect(signWebhook({ ...message, secrets: [secret] })).toBe(published)
  expect(verifyWebhook(received)).toBe(true)
})

test('signs with every secret during a rotation, and either one verifies', () => {
  const signature = signWebhook({ ...message, secrets: [other, secret] })
  expect(signature.split(' ')).toHaveLength(2)
  expect(signature.split(' ')[1]).toBe(published)
  for (const secrets of [[secret], [other]]) {
    expect(verifyWebhook({ ...received, signature, secrets })).toBe(true)
  }
})

test.each([
  ['another body', { body: '{"test": 2432232315}' }],
  ['another id', { id: 'msg_other' }],
  ['another time', { timestampSeconds: 1_614_265_331 }],
  ['another secret', { secrets: [other] }],
  ['no secret', { secrets: [] }],
  ['no signature', { signature: '' }],
  ['another version', { signature: published.replace('v1,', 'v2,') }],
  ['a part of the signature', { signature: published.slice(0, 20) }],
  ['an old message', { nowSeconds: 1_614_265_330 + 301 }],
  ['a message from the future', { nowSeconds: 1_614_265_330 - 301 }],
  ['a time that is no number', { timestampSeconds: Number.NaN }],
])('refuses %s', (_what, change) => {
  expect(verifyWebhook({ ...received, ...change })).toBe(false)
})

test('a secret is whsec_ and the base64 of 24 to 64 bytes', () => {
  expect(newWebhookSecret(Buffer.alloc(24))).toBe(`whsec_${'A'.repeat(32)}`)
  expect(() => newWebhookSecret(Buffer.alloc(23))).toThrow(RangeError)
  expect(() => newWebhookSecret(Buffer.alloc(65))).toThrow(RangeError)
})

test('nothing is signed without a real secret', () => {
  expect(() => signWebhook({ ...message, secrets: [] })).toThrow('needs a secret')
  expect(() => signWebhook({ ...message, secrets: ['whsec_'] })).toThrow('too short')
})
