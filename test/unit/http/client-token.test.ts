import { expect, test } from '@jest/globals'
import { tokenRequestSchema } from '../../../src/http/account.controller.ts'
import { readClientToken, signClientToken, tokenLengthMax } from '../../../src/http/credentials.ts'

const secretKey = Buffer.alloc(32, 1)
const base = { orgId: '01900000-0000-7000-8000-000000000000', scopes: [], expiresAt: 1 }
const nobody = { ...base, userId: null, channels: null }

test('the largest token that can be asked for can be read', () => {
  const { channels, userId } = tokenRequestSchema.properties
  const job = 'job:01900000-0000-7000-8000-000000000000'
  // No other character is written as long as this one.
  const longest = '\u0001'.repeat(userId.maxLength)
  const all = Array.from({ length: channels.maxItems }, () => job)
  const claims = { ...base, userId: longest, channels: all }
  const token = signClientToken(claims, secretKey)
  expect(token.length).toBeLessThanOrEqual(tokenLengthMax)
  expect(readClientToken(token, secretKey)).toEqual(claims)
})

test('a token that was changed, or signed by others, is none', () => {
  const token = signClientToken(nobody, secretKey)
  expect(readClientToken(token, secretKey)).toEqual(nobody)
  expect(readClientToken(`${token}x`, secretKey)).toBeNull()
  expect(readClientToken(token.replace('client_', 'client_A'), secretKey)).toBeNull()
  expect(readClientToken(token, Buffer.alloc(32, 2))).toBeNull()
  expect(
    readClientToken(`weir_client_${'a'.repeat(100_000)}.${'b'.repeat(43)}`, secretKey),
  ).toBeNull()
})
