import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { allowedFields, openLog } from '../../src/log.ts'
import { repositoryFiles } from '../support/repository.ts'
import { waitFor } from '../support/wait-for.ts'

const folder = mkdtempSync(join(tmpdir(), 'weir-log-'))

afterAll(() => rmSync(folder, { recursive: true }))

const open = (role: string) => openLog({ role, version: '1', level: 'info', folder })
const sizeOf = (name: string): number =>
  statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0

test.each([
  ['rebuild goes on', { projection: 'balance', position: '7', target: '9' }],
  ['audit root written', { day: '2026-12-01', hash: 'ab' }],
  ['relay publishes what is behind', { published: 9, recordedAt: '2026-12-01T00:00:00.000Z' }],
  ['a topic of Kafka could not be made', { topic: 'weir.events', error: 'no' }],
])('what "%s" tells is in its line', async (message, fields) => {
  open('projector').info(fields, message)
  const linesNow = (): readonly string[] =>
    sizeOf('projector.log') === 0
      ? []
      : readFileSync(join(folder, 'projector.log'), 'utf8').split('\n')
  const isIts = (line: string): boolean => line.includes(message)
  const line = await waitFor('the line', () => linesNow().find(isIts))
  expect(JSON.parse(line)).toMatchObject({ ...fields, version: '1' })
})

test('no field that is told to a log is left out of its lines', () => {
  const told = /\b(?:report\(\s*'\w+',|log\.(?:debug|info|warn|error|fatal)\()\s*\{([^{}]*)\}/g
  const fields = repositoryFiles()
    .filter(({ path }) => /^(domain|workers|infra|src)\/.*\.ts$/.test(path))
    .flatMap(({ text }) => [...text.matchAll(told)])
    .flatMap(([, names = '']) => names.split(','))
    .map((name) => name.split(':')[0]?.trim() ?? '')
    .filter((name) => /^\w+$/.test(name) && name !== 'err')
  expect(fields.length).toBeGreaterThan(50)
  expect(fields.filter((name) => !allowedFields.has(name))).toEqual([])
})

test('a log that grows large while its role runs is put aside', async () => {
  const log = open('api')
  const megabyte = 'x'.repeat(1_000_000)
  const written = (): number => sizeOf('api.log') + sizeOf('api.log.1')
  for (let count = 1; count <= 70; count += 1) {
    log.info({}, megabyte)
    await waitFor('the line', () => written() >= count * megabyte.length)
  }
  expect(sizeOf('api.log.1')).toBeGreaterThan(60_000_000)
  expect(sizeOf('api.log')).toBeLessThan(10_000_000)
})
