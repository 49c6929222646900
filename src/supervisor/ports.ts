import { createServer } from 'node:net'
import { roles, type Config } from '../config.ts'
import { StartError } from './start-error.ts'

const metricsTriesMax = 50

/**
 * Makes sure that every port can be listened on. Metrics ports that nobody chose move out of the
 * way, so that a second installation needs only WEIR_HOME and WEIR_PORT.
 *
 * @returns the configuration with the metrics port to use
 * @throws StartError naming the port and the variable
 */
export async function settlePorts(config: Config): Promise<Config> {
  const { host, port } = config
  const problem = await problemWith(host, port)
  if (problem) throw new StartError(sentence({ host, port, problem, variable: 'WEIR_PORT' }))
  const metricsPort = await settleMetricsPort(config)
  return Object.freeze({ ...config, metricsPort })
}

async function settleMetricsPort(config: Config): Promise<number> {
  const tries = config.isMetricsPortChosen ? 1 : metricsTriesMax
  let refusal: StartError | undefined
  for (let index = 0; index < tries; index += 1) {
    const first = config.metricsPort + index * roles.length
    refusal = await refusalOf(config, first)
    if (refusal === undefined) return first
  }
  throw refusal ?? new StartError('There is no port for metrics.')
}

async function refusalOf(config: Config, first: number): Promise<StartError | undefined> {
  const { host } = config
  for (const port of roles.map((_role, index) => first + index)) {
    const problem = port === config.port ? 'EADDRINUSE' : await problemWith(host, port)
    if (problem === undefined) continue
    return new StartError(sentence({ host, port, problem, variable: 'WEIR_METRICS_PORT' }))
  }
  return undefined
}

interface Refusal {
  readonly host: string
  readonly port: number
  readonly problem: string
  readonly variable: string
}

function sentence({ host, port, problem, variable }: Refusal): string {
  if (problem === 'EADDRINUSE') {
    return `Port ${port} is in use by another program: stop that, or choose another ${variable}.`
  }
  if (problem === 'EACCES') {
    return `Port ${port} needs more rights than this user has: choose another ${variable}.`
  }
  if (problem === 'EADDRNOTAVAIL' || problem === 'ENOTFOUND') {
    return `This machine has no address "${host}" to listen on: choose another WEIR_HOST.`
  }
  return `Port ${port} cannot be listened on (${problem}): choose another ${variable}.`
}

async function problemWith(host: string, port: number): Promise<string | undefined> {
  return await new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', (error) => resolve('code' in error ? String(error.code) : error.message))
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)))
  })
}
