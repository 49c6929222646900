import { createServer } from 'node:http'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { reportErrors } from '../../src/error-reporting.ts'
import type { Log } from '../../src/log.ts'
import { waitFor } from '../support/wait-for.ts'

interface Report {
  readonly url: string | undefined
  readonly auth: string | string[] | undefined
  readonly lines: readonly string[]
}

interface Told {
  readonly level: string
}

const reports: Report[] = []
const server = createServer((request, response) => {
  let text = ''
  request.on('data', (chunk: Buffer) => (text += chunk.toString()))
  request.on('end', () => {
    const auth = request.headers['x-sentry-auth']
    reports.push({ url: request.url, auth, lines: text.trim().split('\n') })
    response.writeHead(200).end('{}')
  })
})
let dsn = ''

beforeEach(async () => {
  reports.length = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  dsn = `http://public@127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/7`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

function silentLog(written: string[] = []): Log {
  const write = (_fields: unknown, message: string): void => void written.push(message)
  const fatal = async (fields: unknown, message: string) => write(fields, message)
  return { debug: write, info: write, warn: write, error: write, fatal }
}

test('an error is logged and reported, without its message and without payloads', async () => {
  const written: string[] = []
  const log = reportErrors(silentLog(written), { dsn, role: 'api', version: '1.2.3' })
  const err = new TypeError('cannot read planted-secret of undefined')
  log.error({ err, requestId: 'r-1', config: { key: 'planted-secret' } }, 'request failed')
  expect(written).toEqual(['request failed'])
  await waitFor('the report', () => reports.length === 1)
  const { url, auth, lines } = reports[0]!
  expect(url).toBe('/api/7/envelope/')
  expect(auth).toContain('sentry_key=public')
  expect(lines).toHaveLength(3)
  const [head, item, event] = lines.map((line) => JSON.parse(line) as unknown)
  expect(head).toMatchObject({ event_id: expect.stringMatching(/^[0-9a-f]{32}$/) })
  expect(item).toEqual({ type: 'event' })
  expect(event).toMatchObject({
    level: 'error',
    release: 'weir@1.2.3',
    tags: { role: 'api', requestId: 'r-1' },
    exception: { values: [{ type: 'TypeError', value: 'request failed' }] },
  })
  expect(lines[2]).toContain('error-reporting.test.ts')
  expect(lines.join()).not.toContain('planted-secret')
})

test('only errors are reported, and a flood of them only in part', async () => {
  const log = reportErrors(silentLog(), { dsn, role: 'api', version: '1' })
  log.info({}, 'fine')
  log.warn({}, 'hm')
  for (let count = 0; count < 100; count += 1) log.error({}, `failure ${count}`)
  await waitFor('the reports', () => reports.length === 20)
  expect(reports.every(({ lines }) => lines[2]?.includes('"level":"error"'))).toBe(true)
})

test('a receiver that is away harms nobody', async () => {
  const away = reportErrors(silentLog(), {
    dsn: 'http://k@127.0.0.1:9/1',
    role: 'api',
    version: '1',
  })
  expect(() => away.error({ err: new Error('x') }, 'failed')).not.toThrow()
})

test('the end of a process is told before it ends, after what was under way', async () => {
  const log = reportErrors(silentLog(), { dsn, role: 'api', version: '1' })
  log.error({}, 'failure')
  await log.fatal({ err: new TypeError('x') }, 'uncaught exception')
  const levels = reports.map(({ lines }) => (JSON.parse(lines[2] ?? '') as Told).level)
  expect(levels.sort()).toEqual(['error', 'fatal'])
})
