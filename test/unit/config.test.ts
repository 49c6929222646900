import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from '@jest/globals'
import { loadSecretKey, metricsPortOf, printableConfig } from '../../src/config.ts'
import { readConfig, roleEnvironment } from '../../src/config.ts'

const secretKey = Buffer.alloc(32, 7).toString('base64')

test('an empty environment gives a working configuration for one machine', () => {
  const config = readConfig({})
  expect(config).toMatchObject({
    home: resolve('.weir'),
    host: '127.0.0.1',
    port: 3000,
    publicUrl: 'http://127.0.0.1:3000',
    metricsPort: 9464,
    isMetricsPortChosen: false,
    databaseUrl: undefined,
    roles: [],
    arePrivateWebhooksAllowed: false,
    isSandboxOn: true,
    corsOrigins: [],
    trustedProxies: [],
    webhookRetentionDays: 30,
    workerConcurrency: 100,
    leaseMs: 15_000,
    drainMs: 8_000,
    logFolder: resolve('.weir/logs'),
  })
  expect(Object.isFrozen(config)).toBe(true)
  expect(metricsPortOf(config, 'projector')).toBe(9466)
})

test('every wrong variable is named in its own sentence', () => {
  const read = (): unknown =>
    readConfig({
      WEIR_PORT: '70000',
      WEIR_SANDBOX: 'yes',
      WEIR_ROLES: 'api,cook',
      DATABASE_URL: 'mysql://root:hunter2@db/weir',
      WEIR_SECRET_KEY: 'c2hvcnQ=',
    })
  expect(read).toThrow(/WEIR_PORT must be a whole number from 1 to 65535, not "70000"\./)
  expect(read).toThrow(/DATABASE_URL must be a URL like postgres:/)
  expect(read).toThrow(/WEIR_SANDBOX must be true or false, not "yes"\./)
  expect(read).toThrow(/WEIR_ROLES .* not "cook"\./)
  expect(read).toThrow(/WEIR_SECRET_KEY must hold 32 bytes/)
  expect(read).not.toThrow(/hunter2/)
})

test('private webhooks are refused in production', () => {
  const environment = { WEIR_ALLOW_PRIVATE_WEBHOOKS: 'true' }
  expect(readConfig(environment).arePrivateWebhooksAllowed).toBe(true)
  expect(() => readConfig({ ...environment, NODE_ENV: 'production' })).toThrow(
    'WEIR_ALLOW_PRIVATE_WEBHOOKS is for development; with NODE_ENV=production leave it out.',
  )
})

test.each<[string, number | readonly string[]]>([
  ['2', 2],
  ['127.0.0.1', ['127.0.0.1']],
  ['10.0.0.0/8, fd00::/8, loopback', ['10.0.0.0/8', 'fd00::/8', 'loopback']],
])('trusted proxies may be "%s", also for the roles of a launcher', (text, trustedProxies) => {
  const config = readConfig({ WEIR_TRUSTED_PROXIES: text })
  expect(config.trustedProxies).toEqual(trustedProxies)
  const { WEIR_TRUSTED_PROXIES } = roleEnvironment(config, 'api')
  expect(readConfig({ WEIR_TRUSTED_PROXIES }).trustedProxies).toEqual(trustedProxies)
})

test.each(['all', '10.0.0.0/33', '0.0.0.0/0', '10.0.0.1,', 'proxy.internal', '-1'])(
  'trusted proxies may not be "%s"',
  (text) => {
    const read = (): unknown => readConfig({ WEIR_TRUSTED_PROXIES: text })
    expect(read).toThrow(/WEIR_TRUSTED_PROXIES must be a number of proxies, or a list of/)
  },
)

test('a single role needs a database', () => {
  expect(() => readConfig({ WEIR_ROLES: 'worker' })).toThrow(/DATABASE_URL must be set/)
})

test('the printable configuration keeps secrets to itself', () => {
  const config = readConfig({
    DATABASE_URL: 'postgres://weir:hunter2@db/weir?password=hunter3',
    WEIR_SECRET_KEY: secretKey,
  })
  const text = JSON.stringify(printableConfig(config))
  expect(text).not.toMatch(/hunter|BwcH/)
  expect(text).toContain('postgres://weir:***@db/weir')
})

test('the secret key may stand in a file, as secrets of containers do', () => {
  const home = mkdtempSync(join(tmpdir(), 'weir-config-'))
  try {
    const file = join(home, 'key')
    const environment = { WEIR_SECRET_KEY_FILE: file }
    expect(() => readConfig(environment)).toThrow('WEIR_SECRET_KEY_FILE names a file that is not')
    const folder = { WEIR_SECRET_KEY_FILE: home }
    expect(() => readConfig(folder)).toThrow(
      'WEIR_SECRET_KEY_FILE names a file that cannot be read',
    )
    writeFileSync(file, `${secretKey}\n`)
    expect(readConfig(environment).secretKey).toEqual(new Uint8Array(32).fill(7))
  } finally {
    rmSync(home, { recursive: true })
  }
})

test('the secret key is made once, for the owner alone, and kept', () => {
  const home = mkdtempSync(join(tmpdir(), 'weir-config-'))
  try {
    const key = loadSecretKey(home)
    expect(key).toHaveLength(32)
    expect(loadSecretKey(home)).toEqual(key)
    expect(statSync(join(home, 'secret.key')).mode & 0o777).toBe(0o600)
    writeFileSync(join(home, 'secret.key'), 'damaged')
    expect(() => loadSecretKey(home)).toThrow(/must hold 32 bytes/)
  } finally {
    rmSync(home, { recursive: true })
  }
})
