import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { integerArray, textArray, uuidArray } from '../../infra/postgres/binary-array.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await testDatabase()
})

afterAll(async () => {
  await database.close()
})

async function read(type: string, array: Buffer): Promise<unknown> {
  const { rows } = await database.pool.query<{ a: unknown }>(`SELECT $1::${type}[] AS a`, [array])
  return rows[0]?.a
}

test.each<[(string | null)[]]>([
  [[]],
  [['']],
  [[null]],
  [['a', 'ä€😀', '{"x\\":null}', 'NULL', ' ', null, 'longer than most, ä€😀']],
  [Array.from({ length: 3 }, () => 'x€'.repeat(40_000))],
])('Postgres reads the texts %#', async (texts) => {
  expect(await read('text', textArray(texts))).toEqual(texts)
})

test.each([[[]], [[0]], [[-1, 2 ** 31 - 1, -(2 ** 31)]]])(
  'Postgres reads the integers %j',
  async (integers) => {
    expect(await read('integer', integerArray(integers))).toEqual(integers)
  },
)

test('Postgres reads uuids', async () => {
  const ids = Array.from({ length: 3 }, () => randomUUID())
  expect(await read('uuid', uuidArray(ids))).toEqual(ids)
  expect(await read('uuid', uuidArray([]))).toEqual([])
})
