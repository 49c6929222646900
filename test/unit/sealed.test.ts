import { randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { seal, unseal } from '../../src/http/sealed.ts'

const key = randomBytes(32)

test('what was sealed comes back, and cannot be read before', () => {
  const text = JSON.stringify({ apiKey: 'weir_live_ä' })
  const sealed = seal(text, key)
  expect(sealed).not.toContain('weir_live')
  expect(unseal(sealed, key)).toBe(text)
  expect(seal(text, key)).not.toBe(sealed)
})

test('another key or a changed byte opens nothing', () => {
  const sealed = seal('{}', key)
  expect(() => unseal(sealed, randomBytes(32))).toThrow()
  expect(() => unseal(`${sealed.slice(0, -4)}AAAA`, key)).toThrow()
})

test('a text that was not sealed stays as it is', () => {
  expect(unseal('{"a":1}', key)).toBe('{"a":1}')
})
