import { expect, test } from '@jest/globals'
import { verifyWebhook } from '../../../client/webhook.ts'
import { signWebhook } from '../../../infra/http/webhook-signature.ts'

// The example of the Standard Webhooks specification, which its libraries test against too.
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const message = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestampSeconds: 1_614_265_330,
  body: '{"test": 2432232314}',
}
const published = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
const other = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

test('signs the example of the specification as published', () => {
  expect(signWebhook({ ...message, secrets: [secret] })).toBe(published)
})

test('signs with every secret during a rotation: the SDK verifies with either', async () => {
  const signature = signWebhook({ ...message, secrets: [other, secret] })
  expect(signature.split(' ')).toHaveLength(2)
  expect(signature.split(' ')[1]).toBe(published)
  const headers = {
    'webhook-id': message.id,
    'webhook-timestamp': String(message.timestampSeconds),
    'webhook-signature': signature,
  }
  const now = new Date(message.timestampSeconds * 1_000)
  for (const known of [secret, other]) {
    const event = await verifyWebhook(message.body, headers, known, { now })
    expect(event).toEqual({ test: 2432232314 })
  }
})

test('nothing is signed without a real secret', () => {
  expect(() => signWebhook({ ...message, secrets: [] })).toThrow('needs a secret')
  expect(() => signWebhook({ ...message, secrets: ['whsec_'] })).toThrow('too short')
})
