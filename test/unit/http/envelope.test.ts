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

test.each([
  [{ window: 'week' }, 'must be one of day, month, null'],
  [{ max: true }, 'must be integer or string'],
])('of %j it says what may stand there instead', (body, detail) => {
  const readLimit = envelope({
    type: 'object',
    properties: {
      window: { type: ['string', 'null'], enum: ['day', 'month', null] },
      max: { type: ['integer', 'string'] },
    },
  })
  expect(() => readLimit(body)).toThrow(
    expect.objectContaining({ extra: { errors: [expect.objectContaining({ detail })] } }),
  )
})
