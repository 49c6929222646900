import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { metricsPortOf, readConfig, roles } from '../../src/config.ts'
import { systemCommands } from '../../src/cli/system.ts'
import { knownVariables } from '../support/known-variables.ts'
import { root } from '../support/repository.ts'

// No Docker engine runs these files in the tests; what can be said of them without one is here.

interface Service {
  readonly image: string
  readonly build?: string
  readonly platform?: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly profiles?: readonly string[]
  readonly deploy?: { readonly replicas: number }
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}

const text = (path: string): string => readFileSync(join(root, path), 'utf8')
const written: unknown = parse(text('docker-compose.yml'), { merge: true })
const compose = JSON.parse(JSON.stringify(written), (_name, value: unknown) =>
  typeof value === 'string' ? interpolated(value) : value,
) as Compose
const services = Object.entries(compose.services)
const ofWeir = services.filter(([, { build }]) => build !== undefined)
const roleServices = ofWeir.filter(([, { environment }]) => environment?.['WEIR_ROLES'])

/** Every variable by its default, as for somebody without a file `.env`. */
function interpolated(value: string): string {
  const innermost = /\$\{\w+:-([^${}]*)\}/g
  const once = value.replaceAll(innermost, '$1')
  return once === value ? value : interpolated(once)
}

function service(name: string): Service {
  const found = compose.services[name]
  if (!found) throw new Error(`docker-compose.yml has no service ${name}`)
  return found
}

describe('docker-compose.yml', () => {
  let folder: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'weir-compose-'))
    writeFileSync(join(folder, 'secret.key'), Buffer.alloc(32, 7).toString('base64'))
  })

  afterAll(() => rmSync(folder, { recursive: true }))

  /** The environment as weir reads it in the container, where the volume is mounted. */
  function configOf({ environment = {} }: Service) {
    const mounted = Object.entries(environment).map(([name, value]) => [
      name,
      value.replace('/var/lib/weir', folder),
    ])
    const variables = Object.fromEntries(mounted) as Record<string, string>
    return readConfig({ WEIR_HOST: '0.0.0.0', ...variables })
  }

  test('is what the Compose Specification allows', () => {
    const schema = JSON.parse(text('test/fixtures/compose-spec.json')) as object
    // The formats of the schema that are no standard: they say what its types say already.
    const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false })
    const validate = ajv.compile(schema)
    validate(compose)
    expect(validate.errors).toBeNull()
    expect(validate({ services: { api: { imagge: 'x' } } })).toBe(false)
  })

  test('runs every role twice, and waits for what the role needs', () => {
    const found = roleServices.map(([, { environment }]) => environment?.['WEIR_ROLES'])
    expect(found.sort()).toEqual([...roles].sort())
    for (const [, role] of roleServices) {
      expect(role.deploy?.replicas).toBe(2)
      expect(role.depends_on).toEqual({ setup: { condition: 'service_completed_successfully' } })
    }
    const { depends_on = {} } = service('setup')
    expect(Object.keys(depends_on).sort()).toEqual(['eventstoredb', 'kafka', 'postgres', 's3'])
  })

  test('sets no variable that weir does not know, and no wrong one', () => {
    const known = knownVariables()
    for (const [name, each] of ofWeir) {
      const unknown = Object.keys(each.environment ?? {}).filter((variable) => !known.has(variable))
      expect({ name, unknown }).toEqual({ name, unknown: [] })
      expect(configOf(each).cluster).toBeDefined()
    }
  })

  test('points every role at the same engines, which are services of it', () => {
    const [first, ...others] = ofWeir.map(([, each]) => configOf(each))
    for (const other of others) {
      expect(other.cluster).toEqual(first?.cluster)
      expect(other.databaseUrl).toBe(first?.databaseUrl)
    }
    const { eventStoreDbUrl = '', kafka, s3 } = first?.cluster ?? {}
    const hosts = [
      new URL(eventStoreDbUrl).hostname,
      new URL(first?.databaseUrl ?? '').hostname,
      new URL(s3?.endpoint ?? '').hostname,
      ...(kafka?.brokers ?? []).map((broker) => broker.split(':')[0]),
    ]
    expect(hosts.sort()).toEqual(['eventstoredb', 'kafka', 'postgres', 's3'])
  })

  test('tells weir the passwords that the engines are started with', () => {
    const { databaseUrl = '', cluster } = configOf(service('api'))
    const postgres = service('postgres').environment ?? {}
    const { username, password, pathname } = new URL(databaseUrl)
    expect([username, password, pathname]).toEqual([
      postgres['POSTGRES_USER'],
      postgres['POSTGRES_PASSWORD'],
      `/${postgres['POSTGRES_DB']}`,
    ])
    const s3 = service('s3').environment ?? {}
    expect(cluster?.s3.credentials).toEqual({
      accessKeyId: s3['ROOT_ACCESS_KEY'],
      secretAccessKey: s3['ROOT_SECRET_KEY'],
    })
  })

  test('hands out addresses at which this machine answers', () => {
    const published = (name: string) => service(name).ports?.[0]?.split(':')[1]
    const { publicUrl, cluster } = configOf(service('api'))
    expect(new URL(publicUrl).port).toBe(published('proxy'))
    expect(new URL(cluster?.s3.publicEndpoint ?? '').port).toBe(published('s3'))
  })

  test('opens no port to the network', () => {
    const ports = services.flatMap(([, each]) => each.ports ?? [])
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
    const numbers = ports.map((port) => port.split(':')[1])
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  test('names services, volumes and files that are there', () => {
    for (const [name, { depends_on = {}, volumes = [] }] of services) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        const isChecked = service(other).healthcheck !== undefined
        expect({ name, other, isChecked: isChecked || condition !== 'service_healthy' }).toEqual({
          ...{ name, other, isChecked: true },
        })
      }
      for (const volume of volumes) {
        const [source = ''] = volume.split(':')
        const isThere = source.startsWith('.')
          ? existsSync(join(root, source))
          : source in compose.volumes
        expect({ name, source, isThere }).toEqual({ name, source, isThere: true })
      }
    }
    const used = new Set(services.flatMap(([, { volumes = [] }]) => volumes.map(sourceOf)))
    expect(Object.keys(compose.volumes).filter((volume) => !used.has(volume))).toEqual([])
  })

  test('checks the health of everything that stays, and pins every image', () => {
    const unchecked = services.filter(([name, { healthcheck }]) => !healthcheck && name !== 'setup')
    // Its image has no program that could ask.
    expect(unchecked.map(([name]) => name)).toEqual(['jaeger'])
    const images = services.map(([, { image }]) => image)
    expect(images.filter((image) => !/:[\w.-]*\w$/.test(image) || /:latest$/.test(image))).toEqual(
      [],
    )
  })

  test('names the processor of the one image that is made for no other', () => {
    const bound = services.filter(([, { platform }]) => platform !== undefined)
    expect(bound.map(([name, { platform }]) => [name, platform])).toEqual([
      ['eventstoredb', 'linux/amd64'],
    ])
  })

  test('asks each role where it answers', () => {
    for (const role of roles) {
      const each = service(role)
      const config = configOf(each)
      const port = role === 'api' ? config.port : metricsPortOf(config, role)
      const path = role === 'api' ? 'readyz' : 'healthz'
      expect(each.healthcheck?.test.at(-1)).toContain(`"http://127.0.0.1:${port}/${path}"`)
    }
  })

  test('sets up with a command that weir has', () => {
    const [program = '', name] = service('setup').command ?? []
    expect(existsSync(join(root, program.replace(/^dist\//, '').replace(/js$/, 'ts')))).toBe(true)
    expect(systemCommands.map((command) => command.name)).toContain(name)
  })
})

function sourceOf(volume: string): string {
  return volume.split(':')[0] ?? ''
}

test('Prometheus looks for each role at its metrics port', () => {
  const { scrape_configs } = parse(text('infra/ops/prometheus/prometheus.yml')) as {
    scrape_configs: readonly { dns_sd_configs: readonly { names: string[]; port: number }[] }[]
  }
  const found = scrape_configs.flatMap(({ dns_sd_configs }) => dns_sd_configs)
  const config = readConfig({})
  expect(found.map(({ names, port }) => ({ names, port }))).toEqual(
    roles.map((role) => ({ names: [role], port: metricsPortOf(config, role) })),
  )
})

test('the proxy passes on to the api, and takes bodies as large as it does', () => {
  const proxy = text('infra/ops/nginx/nginx.conf')
  const { port } = readConfig({})
  expect(proxy.match(/server api:\d+ resolve;/g)).toEqual(
    Array(2).fill(`server api:${port} resolve;`),
  )
  expect(proxy).toContain('location /v1/socket {')
  expect(proxy).toContain('client_max_body_size 11m;')
})

describe('Dockerfile', () => {
  const lines = text('Dockerfile').split('\n')

  test('ends as a user without rights, in an image for this version of Node', () => {
    expect(lines.filter((line) => line.startsWith('USER'))).toEqual(['USER node'])
    const version = Number(/^ARG NODE_VERSION=(\d+)$/m.exec(text('Dockerfile'))?.[1])
    const { engines } = JSON.parse(text('package.json')) as { engines: { node: string } }
    expect(version).toBeGreaterThanOrEqual(Number(/\d+/.exec(engines.node)?.[0]))
  })

  test('copies what is there and what .dockerignore lets through', () => {
    const copied = lines
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(' ').slice(1, -1))
    expect(copied.filter((path) => !existsSync(join(root, path)))).toEqual([])
    const passed = [...text('.dockerignore').matchAll(/^!(.*)$/gm)].map(([, path = '']) => path)
    const isPassed = (path: string) =>
      passed.some((each) => path === each || path.startsWith(`${each}/`))
    expect(copied.filter((path) => !isPassed(path))).toEqual([])
    expect(passed.filter((path) => !copied.includes(path))).toEqual([])
  })

  test('builds from every folder that the compiler reads', () => {
    const { include } = JSON.parse(text('tsconfig.build.json')) as { include: string[] }
    expect(include.filter((folder) => !lines.includes(`COPY ${folder} ${folder}`))).toEqual([])
  })
})
