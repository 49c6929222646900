import { expect, test } from '@jest/globals'
import { askOnce, askWeir } from '../../../src/cli/api.ts'
import { CliError } from '../../../src/cli/command.ts'
import { useCliServer } from '../../support/cli-server.ts'
import { json } from '../../support/scripted-server.ts'
import type { Reply } from '../../support/scripted-server.ts'

const play = useCliServer()

test('a command that is redirected fails: it would become a question', async () => {
  const moved: Reply = (response) => response.writeHead(301, { location: '/v1/jobs' }).end()
  const { asked } = await play('', moved, json(200, { items: [] }))
  const submitted = askWeir('key', '/v1/jobs', { method: 'POST', body: {} })
  await expect(submitted).rejects.toThrow('weir refused with 301')
  expect(asked).toHaveLength(1)
})

test('an answer that is none of weir’s is told as that', async () => {
  const { url } = await play('', (response) => response.writeHead(200).end('<h1>Sign in</h1>'))
  const asked = askWeir('key', '/v1/jobs/j1')
  await expect(asked).rejects.toBeInstanceOf(CliError)
  await expect(asked).rejects.toThrow(`What ${url}/v1/jobs/j1 answers is not weir's`)
})

test.each(['/below/weir', '/below/weir/'])('weir may live below %s', async (path) => {
  const { asked } = await play(path, json(200, {}))
  await askWeir('key', '/v1/jobs/j1')
  expect(asked.map((each) => each.path)).toEqual(['/below/weir/v1/jobs/j1'])
})

test('what may have been done is repeated with the key that is told', async () => {
  const lost: Reply = (response) => response.destroy()
  const { asked } = await play('', lost, json(503, {}), json(201, { jobId: 'j1' }))
  const submit = (options: Readonly<Record<string, unknown>>) =>
    askOnce('key', '/v1/jobs', {}, { positionals: [], options })
  await expect(submit({})).rejects.toThrow('does not answer')
  const key = String(asked[0]?.headers['idempotency-key'])
  await expect(submit({ 'idempotency-key': key })).rejects.toThrow(
    `To repeat it safely add --idempotency-key ${key}`,
  )
  expect(await submit({ 'idempotency-key': key })).toEqual({ jobId: 'j1' })
  expect(asked.map(({ headers }) => headers['idempotency-key'])).toEqual([key, key, key])
})
