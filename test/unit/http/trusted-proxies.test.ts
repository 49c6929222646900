import { expect, test } from '@jest/globals'
import { fastify } from 'fastify'
import { readConfig } from '../../../src/config.ts'
import { trustProxyOf } from '../../../src/http/trusted-proxies.ts'

const proxy = '10.0.0.7'

test.each([
  ['nobody, without the setting', '', proxy, '1.1.1.1', proxy],
  ['one proxy, which comes last', '1', proxy, '6.6.6.6, 1.1.1.1', '1.1.1.1'],
  ['two proxies in a row', '2', proxy, '6.6.6.6, 1.1.1.1, 10.0.0.8', '1.1.1.1'],
  ['no proxy', '0', proxy, '1.1.1.1', proxy],
  ['a network of proxies', '10.0.0.0/8', proxy, '6.6.6.6, 1.1.1.1, 10.0.0.8', '1.1.1.1'],
  ['a proxy that calls by IPv6', '10.0.0.0/8', `::ffff:${proxy}`, '1.1.1.1', '1.1.1.1'],
  ['only those of the list', '10.0.0.0/8', '2.2.2.2', '1.1.1.1', '2.2.2.2'],
])('%s may say who sends a request', async (_, setting, remoteAddress, ...addresses) => {
  const [forwarded, expected] = addresses
  const { trustedProxies } = readConfig({ WEIR_TRUSTED_PROXIES: setting })
  const server = fastify({ trustProxy: trustProxyOf(trustedProxies) })
  server.get('/', async ({ ip }) => ip)
  const headers = { 'x-forwarded-for': forwarded }
  const { body } = await server.inject({ url: '/', headers, remoteAddress })
  expect(body).toBe(expected)
  await server.close()
})
