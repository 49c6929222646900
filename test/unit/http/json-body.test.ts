import { expect, test } from '@jest/globals'
import { parseJsonBody } from '../../../src/http/json-body.ts'

const parse = (text: string): unknown => parseJsonBody(Buffer.from(text))

test.each(['1e999', '{"a":[{"b":-1E+400}]}', `[${'9'.repeat(400)}]`])(
  'refuses %s: it would be stored as null',
  (text) => {
    expect(() => parse(text)).toThrow('a number is too large')
  },
)

test.each([
  ['1e308', 1e308],
  ['1e-999', 0],
  [`"${'9'.repeat(400)}"`, '9'.repeat(400)],
  ['["1e999"]', ['1e999']],
])('takes %s', (text, value) => {
  expect(parse(text)).toEqual(value)
})
