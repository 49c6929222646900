import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  integerArray,
  nullableTextArray,
  textArray,
  uuidArray,
} from '../../infra/postgres/binary-array.ts'
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

test.each([[[]], [['']], [['a', 'ä€😀', '{"x\\":null}', 'NULL', ' ']]])(
  'Postgres reads the texts %j',
  async (texts) => {
    expect(await read('text', textArray(texts))).toEqual(texts)
  },
)

test.each([[[]], [[null]], [['', null, 'ä€😀', 'NULL']]])(
  'Postgres reads the texts and nulls %j',
  async (texts) => {
    expect(await read('text', nullableTextArray(texts))).toEqual(texts)
  },
)

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
