import { expect, test } from '@jest/globals'
import { envelope } from '../../../src/http/envelope.ts'

const read = envelope({
  type: 'object',
  properties: { inner: { type: 'object', additionalProperties: false } },
  required: ['inner'],
})

test.each([
  [{}, '/inner'],
  [{ inner: 1 }, '/inner'],
  [{ inner: { 'a/b~c': 1 } }, '/inner/a~1b~0c'],
])('of %j it says where it is wrong', (body, pointer) => {
  expect(() => read(body)).toThrow(
    expect.objectContaining({ extra: { errors: [expect.objectContaining({ pointer })] } }),
  )
})
