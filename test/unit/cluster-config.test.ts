import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { printableConfig, readConfig, roleEnvironment } from '../../src/config.ts'
import { knownVariables } from '../support/known-variables.ts'

const secretKey = Buffer.alloc(32, 7).toString('base64')
const smallest = {
  WEIR_PROFILE: 'cluster',
  WEIR_EVENTSTOREDB_URL: 'esdb://events.internal:2113?tls=false',
  WEIR_KAFKA_BROKERS: 'kafka-1:9092, kafka-2:9092',
  WEIR_S3_BUCKET: 'weir',
}
const secrets = {
  WEIR_EVENTSTOREDB_URL: 'esdb://admin:hunter1/@n1:2113,n2:2113?nodePreference=leader',
  WEIR_KAFKA_SSL: 'true',
  WEIR_KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
  WEIR_KAFKA_SASL_USERNAME: 'weir',
  WEIR_KAFKA_SASL_PASSWORD: 'hunter2',
  WEIR_S3_ACCESS_KEY_ID: 'key-id',
  WEIR_S3_SECRET_ACCESS_KEY: 'hunter3',
}

test('without a profile there is no cluster', () => {
  expect(readConfig({}).cluster).toBeUndefined()
  expect(readConfig({ WEIR_PROFILE: 'embedded' }).cluster).toBeUndefined()
  expect(() => readConfig({ WEIR_PROFILE: 'both' })).toThrow('must be embedded or cluster')
})

test('the smallest cluster has the defaults of Amazon and of the brokers', () => {
  expect(readConfig(smallest).cluster).toEqual({
    eventStoreDbUrl: 'esdb://events.internal:2113?tls=false',
    eventStoreDbPrefix: '',
    kafka: {
      brokers: ['kafka-1:9092', 'kafka-2:9092'],
      ssl: false,
      sasl: null,
      topicPrefix: 'weir',
      partitions: 12,
      replication: -1,
      retentionMs: 7 * 86_400_000,
    },
    s3: {
      endpoint: undefined,
      publicEndpoint: undefined,
      bucket: 'weir',
      region: 'us-east-1',
      credentials: undefined,
      isPathStyle: false,
    },
    variables: smallest,
  })
})

test('a server of one’s own is addressed by path, unless it is said otherwise', () => {
  const own = { ...smallest, WEIR_S3_ENDPOINT: 'https://s3.internal:9000/' }
  expect(readConfig(own).cluster?.s3).toMatchObject({
    endpoint: 'https://s3.internal:9000',
    isPathStyle: true,
  })
  const byHost = { ...own, WEIR_S3_FORCE_PATH_STYLE: 'false' }
  expect(readConfig(byHost).cluster?.s3.isPathStyle).toBe(false)
})

test('what a cluster cannot do without is asked for, all at once', () => {
  const read = () => readConfig({ WEIR_PROFILE: 'cluster', WEIR_ROLES: 'api' })
  for (const name of ['WEIR_EVENTSTOREDB_URL', 'WEIR_KAFKA_BROKERS', 'WEIR_S3_BUCKET']) {
    expect(read).toThrow(`${name} must be set when WEIR_PROFILE=cluster.`)
  }
  expect(read).toThrow('DATABASE_URL must be set')
  expect(read).toThrow('WEIR_SECRET_KEY or WEIR_SECRET_KEY_FILE must be set')
})

test('a setting of the cluster without the profile is a mistake', () => {
  expect(() => readConfig({ WEIR_S3_BUCKET: 'weir' })).toThrow(
    'WEIR_S3_BUCKET is for WEIR_PROFILE=cluster; set that too, or leave it out.',
  )
})

test('the event store may have its newer name', () => {
  const eventStoreDbUrl = 'kurrentdb+discover://events.internal?tls=false'
  const { cluster } = readConfig({ ...smallest, WEIR_EVENTSTOREDB_URL: eventStoreDbUrl })
  expect(cluster).toMatchObject({ eventStoreDbUrl })
})

test('two weirs may share an event store, and the streams of each have another name', () => {
  const { cluster } = readConfig({ ...smallest, WEIR_EVENTSTOREDB_STREAM_PREFIX: 'staging' })
  expect(cluster).toMatchObject({ eventStoreDbPrefix: 'staging~' })
})

test.each([
  [{ WEIR_EVENTSTOREDB_STREAM_PREFIX: '$ce~' }, /WEIR_EVENTSTOREDB_STREAM_PREFIX must be 1 to/],
  [{ WEIR_EVENTSTOREDB_URL: 'http://admin:hunter1@n1:2113' }, /WEIR_EVENTSTOREDB_URL must be/],
  [{ WEIR_KAFKA_BROKERS: 'kafka-1' }, /WEIR_KAFKA_BROKERS must list brokers/],
  [{ WEIR_KAFKA_BROKERS: 'kafka-1:99999' }, /WEIR_KAFKA_BROKERS must list brokers/],
  [{ WEIR_KAFKA_BROKERS: '[::1]:9092' }, /WEIR_KAFKA_BROKERS must list brokers/],
  [{ WEIR_KAFKA_SASL_MECHANISM: 'magic' }, /WEIR_KAFKA_SASL_MECHANISM must be one of plain/],
  [{ WEIR_KAFKA_SASL_PASSWORD: 'hunter2' }, /belong together: set all three or none/],
  [{ WEIR_KAFKA_TOPIC_PREFIX: 'a b' }, /WEIR_KAFKA_TOPIC_PREFIX must be/],
  [{ WEIR_KAFKA_REPLICATION: '0' }, /WEIR_KAFKA_REPLICATION must be a whole number from 1/],
  [{ WEIR_KAFKA_SSL_CA_FILE: '/nowhere/ca.pem' }, /names a file that cannot be read/],
  [{ WEIR_S3_ENDPOINT: 'https://s3.internal/bucket' }, /WEIR_S3_ENDPOINT must be a URL/],
  [{ WEIR_S3_BUCKET: 'Weir_Bucket' }, /WEIR_S3_BUCKET must be 3 to 63/],
  [{ WEIR_S3_SECRET_ACCESS_KEY: 'hunter3' }, /belong together: set both, or none/],
])('%j is refused in a sentence', (wrong, sentence) => {
  const read = () => readConfig({ ...smallest, ...wrong })
  expect(read).toThrow(sentence)
  expect(read).not.toThrow(/hunter/)
})

test('certificates are read from their files, and need TLS to be on', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-pem-'))
  try {
    const file = join(folder, 'ca.pem')
    const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
    writeFileSync(file, pem)
    const environment = { ...smallest, WEIR_KAFKA_SSL_CA_FILE: file }
    expect(() => readConfig(environment)).toThrow('WEIR_KAFKA_SSL must be true')
    const { cluster } = readConfig({ ...environment, WEIR_KAFKA_SSL: 'true' })
    expect(cluster?.kafka.ssl).toEqual({ ca: pem })
    writeFileSync(file, 'not a certificate')
    expect(() => readConfig({ ...environment, WEIR_KAFKA_SSL: 'true' })).toThrow('no PEM file')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('the printable configuration keeps the secrets of the engines to itself', () => {
  const text = JSON.stringify(printableConfig(readConfig({ ...smallest, ...secrets })))
  expect(text).not.toContain('hunter')
  expect(text).toContain('esdb://***@n1:2113,n2:2113')
  expect(text).toContain('scram-sha-512')
})

test('roles that are started by the launcher find the same engines', () => {
  const environment = { ...smallest, ...secrets, WEIR_SECRET_KEY: secretKey }
  const config = readConfig(environment)
  const ofRole = roleEnvironment({ ...config, databaseUrl: 'postgres://db/weir' }, 'worker')
  expect(readConfig(ofRole).cluster).toEqual(config.cluster)
})

test('every variable that is read stands in the reference, and no other', () => {
  const known = new Set(knownVariables())
  const page = new URL('../../docs/reference/configuration.md', import.meta.url)
  const rows = readFileSync(page, 'utf8').matchAll(/^\| (`[A-Z].*?) \|/gm)
  const documented = [...rows].flatMap((row) => row[1]?.match(/[A-Z][A-Z0-9_]+/g) ?? [])
  known.delete('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  expect(documented.sort()).toEqual([...known].sort())
})
