import { expect, test } from '@jest/globals'
import { openRaw } from '../support/raw-http.ts'
import { useWeir } from '../support/use-weir.ts'

const used = useWeir({ env: { WEIR_DRAIN_MS: '1000' } })

test('an api that is told to stop does not wait for a body that never comes', async () => {
  const { api } = await used.newOrg()
  const slow = await openRaw(used.weir.baseUrl)
  slow.socket.write(
    `POST /v1/jobs HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${api.token}\r\n` +
      'content-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
  )
  // Behind this answer the api has seen the beginning of the other request.
  expect((await api.get('/v1/balance')).status).toBe(200)
  // It fails when the process still lives after some seconds.
  await used.weir.kill('api', 'SIGTERM')
  await slow.closed
})
