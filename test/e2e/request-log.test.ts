import { expect, test } from '@jest/globals'
import { sandbox } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const used = useWeir({ env: { WEIR_LOG_LEVEL: 'info' } })

/** The canonical line of a request, once it is there. */
async function lineOf(requestId: string): Promise<unknown> {
  const isIts = (line: string): boolean => line.includes(`"requestId":"${requestId}"`)
  const line = await waitFor('the line', () => used.weir.log.split('\n').find(isIts))
  return JSON.parse(line)
}

test('a reader of events that leaves has its line in the log', async () => {
  const { api } = await used.newOrg()
  const { jobId } = await api.submit(sandbox({}, { runAt: '2099-01-01T00:00:00Z' }))
  const leaving = new AbortController()
  const headers = {
    ...{ authorization: `Bearer ${api.token}`, accept: 'text/event-stream' },
    'x-request-id': 'r-left',
  }
  const url = `${used.weir.baseUrl}/v1/jobs/${jobId}/events`
  expect((await fetch(url, { headers, signal: leaving.signal })).status).toBe(200)
  leaving.abort()
  const line = { msg: 'request', method: 'GET', status: 200, route: '/v1/jobs/:jobId/events' }
  expect(await lineOf('r-left')).toMatchObject(line)
})

test('a path that cannot be decoded has its line in the log', async () => {
  const { status } = await used.nobody.get('/v1/%zz', { 'x-request-id': 'r-path' })
  expect(status).toBe(400)
  const line = { msg: 'request', method: 'GET', status, errorCode: 'invalid_request' }
  expect(await lineOf('r-path')).toMatchObject(line)
})

test('the line of a request about a job names the job and its user', async () => {
  const { api } = await used.newOrg({ credits: 1_000_000n })
  const about = async (requestId: string, path: string, body?: unknown): Promise<unknown> => {
    await api.call(body === undefined ? 'GET' : 'POST', path, {
      headers: { 'x-request-id': requestId },
      body,
    })
    return await lineOf(requestId)
  }
  const userId = 'user-of-a-job'
  const later = { userId, runAt: '2099-01-01T00:00:00Z' }
  const { jobId } = await api.submit(sandbox({}, later), { 'x-request-id': 'r-submit' })
  const line = { msg: 'request', jobId, userId }
  expect(await lineOf('r-submit')).toMatchObject(line)
  for (const part of ['', '/events', '/result']) {
    expect(await about(`r-get${part.replace('/', '-')}`, `/v1/jobs/${jobId}${part}`)).toMatchObject(
      line,
    )
  }
  expect(await about('r-cancel', `/v1/jobs/${jobId}/cancel`, {})).toMatchObject(line)
  expect(await about('r-retry', `/v1/jobs/${jobId}/retry`, {})).toMatchObject(line)
  const refused = await about('r-refused', '/v1/jobs', sandbox({ steps: 900 }, { userId }))
  expect(refused).toMatchObject({ userId, errorCode: 'insufficient_credits' })
})
