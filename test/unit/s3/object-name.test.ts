import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isObjectName, objectName } from '../../../infra/s3/object-name.ts'

const part = fc.oneof(
  fc.stringMatching(/^[a-z0-9_][a-z0-9._-]{0,3}$/),
  fc.integer({ min: 195, max: 205 }).map((length) => 'x'.repeat(length)),
  fc.constant('x'.repeat(410)),
)
const key = fc
  .array(part, { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'))
  .filter((text) => text.length <= 512)

test('an object stands in a folder of its own kind, so that its name stays as it was', () => {
  expect(objectName('results/1/2/result.json')).toBe('results/1/2/-/result.json')
  expect(objectName('alone')).toBe('-/alone')
})

test('no two keys have the same name, and none is a folder on the way to another', () => {
  fc.assert(
    fc.property(key, key, (one, other) => {
      fc.pre(one !== other)
      expect(objectName(one)).not.toBe(objectName(other))
      expect(objectName(one).startsWith(`${objectName(other)}/`)).toBe(false)
    }),
  )
})

test('no part of a name is too long for a file, nor the whole for S3', () => {
  fc.assert(
    fc.property(key, (one) => {
      const name = objectName(one)
      expect(isObjectName(name)).toBe(true)
      expect(name.length).toBeLessThanOrEqual(1024)
      expect(Math.max(...name.split('/').map(({ length }) => length))).toBeLessThanOrEqual(255)
    }),
  )
})

test('names of others in the bucket are not taken for ours', () => {
  expect(['a', 'a/b', '-', 'a/-', 'a/-/b/c'].filter(isObjectName)).toEqual([])
})
