import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { openTelemetry } from '../../src/telemetry.ts'

const variables = (port: number) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
  OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
})

test('a collector that does not answer holds up no end', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  Object.assign(process.env, variables(port))
  const telemetry = openTelemetry({ role: 'api', version: '1' })
  for (const name of Object.keys(variables(port))) Reflect.deleteProperty(process.env, name)
  telemetry.startSpan('work', { kind: 'internal', traceparent: null }).end(null)
  let isGivenUp = false
  const givenUp = once(server, 'connection').then(async ([socket]: Socket[]) => {
    await once(socket ?? server, 'close')
    isGivenUp = true
  })
  await Promise.all([once(server, 'request'), telemetry.close(1)])
  // Its exporter still waits.
  expect(isGivenUp).toBe(false)
  await givenUp
  server.close()
})
