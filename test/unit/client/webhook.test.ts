import { createHmac } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { verifyWebhook, WebhookError } from '../../../client/weir.ts'
import type { VerifyOptions, WebhookHeaders } from '../../../client/weir.ts'

// The example of the Standard Webhooks specification, which its libraries test against too.
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek'
const timestamp = '1614265330'
const body = '{"test": 2432232314}'
const published = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
const headers = {
  'webhook-id': id,
  'webhook-timestamp': timestamp,
  'webhook-signature': published,
}
const now = new Date(1_614_265_330_000)
const newSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

function signatureWith(key: string): string {
  const bytes = Buffer.from(key.slice('whsec_'.length), 'base64')
  const signed = `${id}.${timestamp}.${body}`
  return `v1,${createHmac('sha256', bytes).update(signed).digest('base64')}`
}

type Change = Partial<{
  body: string | Uint8Array
  headers: WebhookHeaders
  secret: string | readonly string[]
  options: VerifyOptions
}>

const verify = (change: Change = {}) =>
  verifyWebhook(change.body ?? body, change.headers ?? headers, change.secret ?? secret, {
    now,
    ...change.options,
  })

test('the example of the specification is genuine, as text and as bytes', async () => {
  expect(await verify()).toEqual({ test: 2432232314 })
  expect(await verify({ body: new TextEncoder().encode(body) })).toEqual({ test: 2432232314 })
  expect(await verify({ body: Buffer.from(body) })).toEqual({ test: 2432232314 })
})

test('a body that was parsed already is told as that', async () => {
  const parsed: unknown = JSON.parse(body)
  await expect(verify({ body: parsed as string })).rejects.toThrow('before any parsing')
})

test('headers may be those of Fetch or of Node', async () => {
  expect(await verify({ headers: new Headers(headers) })).toEqual({ test: 2432232314 })
  const upper = Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value])
  expect(await verify({ headers: Object.fromEntries(upper) })).toEqual({ test: 2432232314 })
  const list = { ...headers, 'webhook-id': [id] }
  await expect(verify({ headers: list })).rejects.toMatchObject({ reason: 'incomplete' })
})

test('while the sender rotates, one of its signatures is enough', async () => {
  const both = `${signatureWith(newSecret)} ${published}`
  const rotating = { ...headers, 'webhook-signature': both }
  expect(await verify({ headers: rotating })).toEqual({ test: 2432232314 })
  expect(await verify({ headers: rotating, secret: newSecret })).toEqual({ test: 2432232314 })
})

test('while the receiver rotates, one of its secrets is enough', async () => {
  const secrets = [newSecret, secret]
  expect(await verify({ secret: secrets })).toEqual({ test: 2432232314 })
  await expect(verify({ secret: [newSecret] })).rejects.toMatchObject({ reason: 'forged' })
})

const signed = (signature: string) => ({ headers: { ...headers, 'webhook-signature': signature } })

test.each<[string, Change, WebhookError['reason']]>([
  ['a body with one other character', { body: body.replace('4}', '5}') }, 'forged'],
  ['a body with one more space', { body: `${body} ` }, 'forged'],
  ['another id', { headers: { ...headers, 'webhook-id': 'msg_other' } }, 'forged'],
  ['a time that was not signed', { headers: at('1614265331') }, 'forged'],
  ['another secret', { secret: newSecret }, 'forged'],
  ['no secret', { secret: [] }, 'forged'],
  ['a signature of another version', signed(published.replace('v1,', 'v1a,')), 'forged'],
  ['half a signature', signed(published.slice(0, 20)), 'forged'],
  ['a signature that is not base64', signed('v1,***'), 'forged'],
  ['no signature', signed(''), 'incomplete'],
  ['no id', { headers: { ...headers, 'webhook-id': undefined } }, 'incomplete'],
  ['a time that is none', { headers: at('yesterday') }, 'incomplete'],
  ['a time in another notation', { headers: at('1.614265330e9') }, 'incomplete'],
  ['what is too old', { options: { now: new Date(now.getTime() + 301_000) } }, 'too_old'],
  [
    'what comes from the future',
    { options: { now: new Date(now.getTime() - 301_000) } },
    'too_new',
  ],
  ['what is older than you allow', { options: older(11, 10) }, 'too_old'],
  ['anything when what you allow is no number', { options: older(0, Number.NaN) }, 'too_old'],
])('refuses %s', async (_what, change, reason) => {
  const refused = verify(change)
  await expect(refused).rejects.toBeInstanceOf(WebhookError)
  await expect(refused).rejects.toMatchObject({ reason })
})

function at(seconds: string) {
  return { ...headers, 'webhook-timestamp': seconds }
}

function older(seconds: number, toleranceSeconds: number): VerifyOptions {
  return { now: new Date(now.getTime() + seconds * 1_000), toleranceSeconds }
}

test('a delivery is good until the tolerance is over', async () => {
  expect(await verify({ options: older(300, 300) })).toEqual({ test: 2432232314 })
  expect(await verify({ options: older(9_000, 10_000) })).toEqual({ test: 2432232314 })
})

test('what was signed and is no JSON is refused as such', async () => {
  const bytes = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const signature = createHmac('sha256', bytes).update(`${id}.${timestamp}.hello`).digest('base64')
  const refused = verify({ body: 'hello', ...signed(`v1,${signature}`) })
  await expect(refused).rejects.toMatchObject({ reason: 'unreadable' })
})

test('a secret that is none is a mistake of the receiver', async () => {
  await expect(verify({ secret: 'whsec_' })).rejects.toThrow(RangeError)
  await expect(verify({ secret: 'whsec_ü' })).rejects.toThrow(RangeError)
})
