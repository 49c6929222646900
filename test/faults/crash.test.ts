import { createServer } from 'node:http'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startWeir, type Weir } from '../support/weir.ts'
import { waitFor } from '../support/wait-for.ts'

// Signals on which a role makes the mistakes that nobody catches.
const mistakes = `
process.on('SIGUSR2',()=>{throw(new/**/TypeError('planted'))});
process.on('SIGWINCH',()=>{Promise.reject(new/**/RangeError('planted'))})`
const preloaded = `--import=data:text/javascript,${mistakes.replaceAll('\n', '')}`

const reports: string[] = []
const receiver = createServer((request, response) => {
  let text = ''
  request.on('data', (chunk: Buffer) => (text += chunk.toString()))
  request.on('end', () => {
    reports.push(text)
    response.writeHead(200).end('{}')
  })
})
let weir: Weir

beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const address = receiver.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const dsn = `http://public@127.0.0.1:${port}/7`
  weir = await startWeir({ env: { NODE_OPTIONS: preloaded, SENTRY_DSN: dsn } })
})

afterAll(async () => {
  await weir.stop()
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
})

test.each([
  ['an exception', 'api', 'SIGUSR2', 'uncaught exception', 'TypeError'],
  ['a rejection', 'worker', 'SIGWINCH', 'unhandled rejection', 'RangeError'],
  ['a rejection', 'projector', 'SIGWINCH', 'unhandled rejection', 'RangeError'],
] as const)('%s that ends the %s is in its log and reported', async (_, role, ...mistake) => {
  const [signal, msg, errorType] = mistake
  const before = weir.log.length
  reports.length = 0
  const [pid = 0] = weir.pids(role)
  process.kill(pid, signal)
  const ended = `weir-${role} ended (code 1)`
  await waitFor('the role to end', () => weir.logSince(before).includes(ended))
  const lines = weir.logSince(before).split('\n')
  const fatal = lines.filter((line) => line.startsWith('{"level":"fatal"'))
  expect(fatal.map((line) => JSON.parse(line) as unknown)).toEqual([
    expect.objectContaining({ service: 'weir', role, msg, errorType }),
  ])
  expect(lines.filter((line) => line !== '' && !/^(\{|weir-)/.test(line))).toEqual([])
  expect(reports.filter((report) => report.includes('"level":"fatal"'))).toHaveLength(1)
  await waitFor('another one', () => weir.pids(role).some((other) => other !== pid))
})
