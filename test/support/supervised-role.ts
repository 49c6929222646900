import { createServer } from 'node:http'
import { metricsPortOf, readConfig } from '../../src/config.ts'
import { followReadiness, onParentGone, reportReady } from '../../src/supervisor/role-process.ts'

// The smallest role: listens, says that it is ready, stops when told or left alone.

const config = readConfig()
const [role = 'api'] = config.roles
process.title = `weir-${role}`

const readiness = followReadiness()
const server = createServer((request, response) => {
  const isReady = request.url !== '/readyz' || readiness.allRolesReady()
  response.writeHead(isReady ? 200 : 503, { connection: 'close' })
  response.end(JSON.stringify({ role, pid: process.pid, databaseUrl: config.databaseUrl }))
})

const stop = (): void => {
  server.close()
}
// A role that hangs has to be killed.
process.on('SIGTERM', process.env['WEIR_TEST_HANGS'] ? () => undefined : stop)
onParentGone(stop)
const port = role === 'api' ? config.port : metricsPortOf(config, role)
server.listen(port, config.host, reportReady)
