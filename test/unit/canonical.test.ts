import { createHash } from 'node:crypto'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { canonical, chainHash, genesisHash } from '../../domain/ledger/canonical.ts'
import type { Json } from '../../domain/json.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>

const meta = {
  ...{ orgId: 'acme', actor: 'key:k1', correlationId: 'c', causationId: 'd', traceparent: null },
  ...{ at: '2026-01-02T03:04:05.678Z', schema: 1 },
}
const event = {
  ...{ stream: 'account-acme', revision: 3, id: 'e3', type: 'CreditsExpired' },
  ...{ data: { grantId: 'g1', amountMicro: '5' }, meta },
}

test('a value has one text, whatever the order of its members', () => {
  const a = { b: 1, a: [{ d: null, c: 'é' }], '\ud83d\ude00': true, '\uffff': false }
  const b = { '\uffff': false, '\ud83d\ude00': true, a: [{ c: 'é', d: null }], b: 1 }
  expect(canonical(a)).toBe('{"a":[{"c":"é","d":null}],"b":1,"😀":true,"\uffff":false}')
  expect(canonical(b)).toBe(canonical(a))
})

test('the text of any value reads back as that value', () => {
  fc.assert(
    fc.property(json, (value) => {
      const text = canonical(value)
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      expect(canonical(JSON.parse(text) as Json)).toBe(text)
    }),
  )
})

test('the form of the chain is the one that stored hashes have', () => {
  expect(chainHash(sha256, genesisHash, event)).toBe(
    '380ebf41de6ee6aa8a17402d7ed2944cfc43ce7f625df56230bfc0589f2f9a38',
  )
})

test.each<[string, object]>([
  ['stream', { stream: 'account-zoo' }],
  ['revision', { revision: 4 }],
  ['id', { id: 'e4' }],
  ['type', { type: 'CreditsRevoked' }],
  ['data', { data: { grantId: 'g1', amountMicro: '6' } }],
  ['meta', { meta: { ...meta, actor: 'key:k2' } }],
])('the hash changes with the %s', (_, change) => {
  const hash = chainHash(sha256, genesisHash, event)
  expect(chainHash(sha256, genesisHash, { ...event, ...change })).not.toBe(hash)
  expect(chainHash(sha256, hash, event)).not.toBe(hash)
})
