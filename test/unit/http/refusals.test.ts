import { expect, test } from '@jest/globals'
import { DomainError } from '../../../domain/errors.ts'
import { EngineUnavailable } from '../../../domain/ports/engine-unavailable.ts'
import { AppendTooBig } from '../../../domain/ports/event-store.ts'
import { batchItem, isUnknown } from '../../../src/http/batch.ts'
import { loggedRefusalOf, problemBody } from '../../../src/http/problem.ts'
import type { Log } from '../../../src/log.ts'
import { openApiMetrics } from '../../../src/metrics/api.ts'
import { Series } from '../../../src/metrics/registry.ts'

type Line = { readonly level: string; readonly err: unknown }

function keptLog(): { readonly log: Log; readonly lines: Line[] } {
  const lines: Line[] = []
  const at = (level: string) => (fields: Readonly<Record<string, unknown>>) =>
    void lines.push({ level, err: fields['err'] })
  const levels = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  return { lines, log: { ...levels, fatal: async (fields) => at('fatal')(fields) } }
}

const secret = new Error('connect ECONNREFUSED 10.0.0.7:5432')

test.each<[string, Error, string, string]>([
  ['a bug', new Error('x is undefined'), 'internal', 'error'],
  ['a database that is away', new EngineUnavailable(secret.message), 'unavailable', 'warn'],
  [
    'an event store that is away',
    new DomainError('unavailable', 'It does not answer.', {}, { cause: secret }),
    'unavailable',
    'warn',
  ],
  ['a small limit of the event store', new AppendTooBig('undefined'), 'too_large', 'warn'],
])('%s is logged, and not told', (_, error, code, level) => {
  const { log, lines } = keptLog()
  const refusal = loggedRefusalOf(error, { log, requestId: 'r1' })
  expect(refusal.code).toBe(code)
  expect(lines).toEqual([{ level, err: error.cause ?? error }])
  expect(JSON.stringify(problemBody(refusal, 'r1'))).not.toMatch(/ECONNREFUSED|undefined/)
})

test('what a caller did wrong is not logged as a failure', () => {
  const { log, lines } = keptLog()
  loggedRefusalOf(new DomainError('not_found', 'There is no such job.'), { log, requestId: 'r1' })
  loggedRefusalOf({ statusCode: 415 }, { log, requestId: 'r1' })
  expect(lines).toEqual([])
})

test('a bug in one job of a batch is logged like any other', async () => {
  const { log, lines } = keptLog()
  const bug = new Error('x is undefined')
  const metrics = openApiMetrics(new Series())
  const item = await batchItem({ log, metrics, requestId: 'r1' }, () => Promise.reject(bug))
  expect(item).toMatchObject({ status: 500, error: { code: 'internal', requestId: 'r1' } })
  expect(lines).toEqual([{ level: 'error', err: bug }])
})

test.each([
  ['insufficient_credits', 'weir_credit_rejections_total{reason="insufficient_credits"} 1\n'],
  ['rate_limited', 'weir_rate_limited_total{kind="rate_limited"} 1\n'],
] as const)('a job of a batch that is refused with %s is counted', async (code, line) => {
  const series = new Series()
  const metrics = openApiMetrics(series)
  const { log } = keptLog()
  const refusal = new DomainError(code, 'No.')
  await batchItem({ log, metrics, requestId: 'r1' }, () => Promise.reject(refusal))
  expect(await series.text()).toContain(line)
})

test.each<[string, Error, boolean]>([
  ['a bug', new Error('x is undefined'), true],
  ['an event store that is away', new DomainError('unavailable', 'It is away.'), true],
  [
    'a submission given up',
    new DomainError('unavailable', 'Too late.', { abandoned: true }),
    false,
  ],
  ['a refusal', new DomainError('insufficient_credits', 'This needs more.'), false],
])('after %s it is known what became of a job of a batch, or not', async (_, error, unknown) => {
  const metrics = openApiMetrics(new Series())
  const about = { log: keptLog().log, metrics, requestId: 'r1' }
  expect(isUnknown(await batchItem(about, () => Promise.reject(error)))).toBe(unknown)
})
