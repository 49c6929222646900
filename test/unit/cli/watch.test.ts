import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { jobCommands } from '../../../src/cli/job.ts'
import { json, playReplies, problem } from '../../support/scripted-server.ts'
import type { Reply, ScriptedServer } from '../../support/scripted-server.ts'

const before = { ...process.env }
let server: ScriptedServer | undefined

beforeEach(() => {
  process.env['WEIR_API_KEY'] = 'weir_live_key'
})

afterEach(async () => {
  process.env = { ...before }
  await server?.close()
})

const watch = jobCommands.find(({ name }) => name === 'job watch')

async function watchAt(url: string): Promise<number | undefined> {
  process.env['WEIR_URL'] = url
  return watch?.run({ positionals: ['j1'], options: {} })
}

async function play(...replies: readonly Reply[]): Promise<ScriptedServer> {
  server = await playReplies(...replies)
  return server
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
  const { url, asked } = await play(torn, problem(503, 'unavailable'), over, ended)
  expect(await watchAt(url)).toBe(0)
  expect(asked.map(({ headers }) => headers['last-event-id'])).toEqual(['-1', '3', '3', undefined])
})

test('a watch that does not get as far as a first answer says so at once', async () => {
  const { url, asked } = await play(problem(503, 'unavailable'))
  await expect(watchAt(url)).rejects.toThrow('weir refused with 503')
  expect(asked).toHaveLength(1)
})

test('an address that is no URL is named as what it is', async () => {
  await expect(watchAt('localhost:3000')).rejects.toThrow('WEIR_URL is no URL')
})
