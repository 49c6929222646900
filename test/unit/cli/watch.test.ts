import { expect, test } from '@jest/globals'
import { jobCommands } from '../../../src/cli/job.ts'
import { endedAs } from '../../../src/cli/job-why.ts'
import { useCliServer } from '../../support/cli-server.ts'
import { json, problem } from '../../support/scripted-server.ts'
import type { Reply } from '../../support/scripted-server.ts'

const play = useCliServer()
const watch = jobCommands.find(({ name }) => name === 'job watch')

async function follow(): Promise<number | undefined> {
  return watch?.run({ positionals: ['j1'], options: {} })
}

/** The beginning of a stream whose connection then breaks. */
const torn: Reply = (response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write('id: 3\nevent: job.started\ndata: {"type":"job.started"}\n\n')
  setImmediate(() => response.destroy())
}

test('a watch outlives a weir that is started again, and goes on where it was', async () => {
  const over: Reply = (response) => response.writeHead(204).end()
  const ended = json(200, { status: 'succeeded' })
  const { asked } = await play('', torn, problem(503, 'unavailable'), over, ended)
  expect(await follow()).toBe(0)
  expect(asked.map(({ headers }) => headers['last-event-id'])).toEqual(['-1', '3', '3', undefined])
})

test('a watch that does not get as far as a first answer says so at once', async () => {
  const { asked } = await play('', problem(503, 'unavailable'))
  await expect(follow()).rejects.toThrow('weir refused with 503')
  expect(asked).toHaveLength(1)
})

test.each([
  ['failed', 'failed'],
  ['expired', 'expired'],
  ['canceled', 'was canceled'],
])('a job that is %s is told to have ended so', async (status, words) => {
  expect(endedAs(status)).toBe(words)
  await play('', (response) => response.writeHead(204).end(), json(200, { status }))
  expect(await follow()).toBe(1)
})

test('an address that is no URL is named as what it is', async () => {
  process.env['WEIR_URL'] = 'localhost:3000'
  await expect(follow()).rejects.toThrow('WEIR_URL is no URL')
})
