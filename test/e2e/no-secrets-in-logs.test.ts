import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { sandbox } from '../support/client.ts'
import { connect, refusalOf } from '../support/socket.ts'
import { useWeir } from '../support/use-weir.ts'

const used = useWeir({ env: { WEIR_LOG_LEVEL: 'trace' } })

/** Everything that weir wrote for people to read: output of all processes, and its log files. */
function everythingLogged(): string {
  const folder = join(used.weir.home, 'logs')
  const isThere = statSync(folder, { throwIfNoEntry: false }) !== undefined
  const files = isThere ? readdirSync(folder).map((name) => join(folder, name)) : []
  return [used.weir.log, ...files.map((file) => readFileSync(file, 'utf8'))].join('\n')
}

test('keys, tokens and payloads are in no log line, whatever is asked', async () => {
  const planted = (name: string): string => `planted-${name}-7f3a9c`
  const { api, orgId } = await used.newOrg()
  const key = api.token ?? ''
  const answer = await api.post<{ token: string }>('/v1/tokens', { userId: planted('user') })
  const clientToken = answer.json.token

  const metadata = { note: planted('metadata') }
  const { jobId } = await api.run(sandbox({}, { metadata }))
  await api.submit(sandbox(), { 'idempotency-key': planted('idempotency') })
  const wrongInput = { steps: planted('input') }
  await api.post('/v1/jobs', { type: 'sandbox.run', input: wrongInput })
  const hook = `http://user:${planted('password')}@127.0.0.1:9/${planted('path')}`
  await api.post('/v1/jobs', sandbox({}, { webhook: { url: hook } }))
  await api.call('POST', '/v1/jobs', { raw: `{"broken": "${planted('body')}` })
  await api.get(`/v1/jobs/${jobId}?token=${planted('query')}`, { cookie: planted('cookie') })
  await api.get(`/v1/${planted('route')}`)
  await used.nobody.get('/v1/balance', { authorization: `Bearer ${planted('bearer')}` })
  await used.nobody.get('/v1/balance', { authorization: `Basic ${planted('basic')}` })
  await used.nobody.get('/v1/balance', { 'x-api-key': planted('header') })
  await used.admin.post('/v1/admin/session', { email: 'a@b.c', password: planted('session') })
  const grant = { amount: '1', kind: 'promo', reason: planted('reason') }
  await used.admin.post(`/v1/admin/orgs/${orgId}/grants`, grant)
  await api.download(jobId)
  const socket = await connect(used.weir.baseUrl, key)
  await socket.subscribe(`job:${planted('channel')}`)
  socket.close()
  expect(await refusalOf(used.weir.baseUrl, planted('socket'))).toBe('unauthenticated')

  const logged = everythingLogged()
  expect(logged).toContain('"msg":"request"')
  expect(logged).toContain('"msg":"attempt"')
  const { dev } = used.weir
  const secrets = [key, clientToken, dev.apiKey, dev.adminToken, dev.webhookSecret]
  // The key of the demo org is printed once, for the person who started weir.
  const lines = logged.split('\n').filter((line) => line.startsWith('{'))
  const found = lines.filter(
    (line) => line.includes('planted-') || secrets.some((secret) => line.includes(secret)),
  )
  expect(found).toEqual([])
  expect(lines.filter((line) => line.includes('signature='))).toEqual([])
})
