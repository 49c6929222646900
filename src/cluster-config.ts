import { readFileSync } from 'node:fs'
import type { Environment, Parsed, Reader } from './environment.ts'

const saslMechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const

/** A login at Kafka. */
export interface KafkaLoginConfig {
  readonly mechanism: (typeof saslMechanisms)[number]
  readonly username: string
  readonly password: string
}

/** Certificates and a key of one's own, as PEM texts. */
export interface KafkaTlsConfig {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface KafkaConfig {
  /** `host:port` of some of the brokers. */
  readonly brokers: readonly string[]
  /** `true` trusts what the system trusts. */
  readonly ssl: boolean | KafkaTlsConfig
  readonly sasl: KafkaLoginConfig | null
  readonly topicPrefix: string
  /** Of the topic of events, when it is made. */
  readonly partitions: number
  /** Copies of each partition, when a topic is made; -1 leaves it to the brokers. */
  readonly replication: number
  readonly retentionMs: number
}

export interface S3Config {
  /** Absent: Amazon's own of the region. */
  readonly endpoint: string | undefined
  /** What stands in signed URLs; absent: the endpoint. */
  readonly publicEndpoint: string | undefined
  readonly bucket: string
  readonly region: string
  /** Absent: what the SDK finds, e.g. the role of the machine. */
  readonly credentials:
    { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined
  readonly isPathStyle: boolean
}

/** Where the engines of the cluster profile are. */
export interface ClusterConfig {
  /** A connection string, `esdb://…`, `esdb+discover://…` or a newer name; may hold a password. */
  readonly eventStoreDbUrl: string
  /** Stands before the name of every stream there; empty for the one weir that has none. */
  readonly eventStoreDbPrefix: string
  readonly kafka: KafkaConfig
  readonly s3: S3Config
  /** The variables that say so, for processes started by this one; holds secrets. */
  readonly variables: Readonly<Record<string, string>>
}

const hourMs = 3_600_000
const ours = /^WEIR_(EVENTSTOREDB|KAFKA|S3)_/

/**
 * The settings of the cluster profile; undefined when that is not the one chosen. Problems are
 * added to `problems`, and what is returned then is of no use.
 */
export function readCluster(
  environment: Environment,
  read: Reader,
  problems: string[],
): ClusterConfig | undefined {
  const isCluster = read.parsed('WEIR_PROFILE', parseProfile) === 'cluster'
  const given = Object.entries(environment).filter(([name, value]) => ours.test(name) && value)
  if (!isCluster) {
    const [name] = given.map(([each]) => each)
    // Whoever sets one of them believes that it is in force.
    if (name) problems.push(`${name} is for WEIR_PROFILE=cluster; set that too, or leave it out.`)
    return undefined
  }
  const required = (name: string): void => {
    if (read.text(name, '') === '') problems.push(`${name} must be set when WEIR_PROFILE=cluster.`)
  }
  for (const name of ['WEIR_EVENTSTOREDB_URL', 'WEIR_KAFKA_BROKERS', 'WEIR_S3_BUCKET']) {
    required(name)
  }
  const variables = given.map(([name, value]) => [name, value ?? ''] as const)
  return Object.freeze({
    eventStoreDbUrl: read.parsed('WEIR_EVENTSTOREDB_URL', parseEventStoreDbUrl) ?? '',
    eventStoreDbPrefix: read.parsed('WEIR_EVENTSTOREDB_STREAM_PREFIX', parseStreamPrefix) ?? '',
    kafka: Object.freeze(readKafka(read, problems)),
    s3: Object.freeze(readS3(read, problems)),
    variables: Object.freeze({ WEIR_PROFILE: 'cluster', ...Object.fromEntries(variables) }),
  })
}

/** As it may be logged: no password and no key. */
export function printableCluster(config: ClusterConfig): object {
  const { eventStoreDbUrl, eventStoreDbPrefix, kafka, s3 } = config
  const { sasl, ssl } = kafka
  return {
    eventStoreDbUrl: eventStoreDbUrl.replace(/\/\/.*@/, '//***@'),
    eventStoreDbPrefix,
    kafka: {
      ...kafka,
      ssl: typeof ssl === 'boolean' ? ssl : Object.keys(ssl),
      sasl: sasl && { mechanism: sasl.mechanism, username: sasl.username },
    },
    s3: { ...s3, credentials: s3.credentials && s3.credentials.accessKeyId },
  }
}

function readKafka(read: Reader, problems: string[]): KafkaConfig {
  return {
    brokers: Object.freeze(read.list('WEIR_KAFKA_BROKERS', parseBroker)),
    ssl: readTls(read, problems),
    sasl: readLogin(read, problems),
    topicPrefix: read.parsed('WEIR_KAFKA_TOPIC_PREFIX', parseTopicPrefix) ?? 'weir',
    partitions: read.integer('WEIR_KAFKA_PARTITIONS', 12, { min: 1, max: 1_000 }),
    replication:
      read.text('WEIR_KAFKA_REPLICATION', '') === ''
        ? -1
        : read.integer('WEIR_KAFKA_REPLICATION', 1, { min: 1, max: 10 }),
    retentionMs: read.integer('WEIR_KAFKA_RETENTION_HOURS', 168, { min: 1, max: 100_000 }) * hourMs,
  }
}

function readTls(read: Reader, problems: string[]): boolean | KafkaTlsConfig {
  const isOn = read.flag('WEIR_KAFKA_SSL', 'false')
  const ca = read.parsed('WEIR_KAFKA_SSL_CA_FILE', readPem)
  const cert = read.parsed('WEIR_KAFKA_SSL_CERT_FILE', readPem)
  const key = read.parsed('WEIR_KAFKA_SSL_KEY_FILE', readPem)
  const files = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
  if (Object.keys(files).length === 0) return isOn
  if (!isOn) problems.push('WEIR_KAFKA_SSL must be true when a file of certificates is named.')
  return files
}

function readLogin(read: Reader, problems: string[]): KafkaLoginConfig | null {
  const mechanism = read.parsed('WEIR_KAFKA_SASL_MECHANISM', parseMechanism)
  const username = read.text('WEIR_KAFKA_SASL_USERNAME', '')
  const password = read.text('WEIR_KAFKA_SASL_PASSWORD', '')
  const isWhole = mechanism !== undefined && username !== '' && password !== ''
  if (isWhole) return Object.freeze({ mechanism, username, password })
  if (mechanism !== undefined || username !== '' || password !== '') {
    problems.push(
      'WEIR_KAFKA_SASL_MECHANISM, WEIR_KAFKA_SASL_USERNAME and WEIR_KAFKA_SASL_PASSWORD ' +
        'belong together: set all three or none.',
    )
  }
  return null
}

function readS3(read: Reader, problems: string[]): S3Config {
  const endpoint = read.parsed('WEIR_S3_ENDPOINT', parseEndpoint)
  return {
    endpoint,
    publicEndpoint: read.parsed('WEIR_S3_PUBLIC_ENDPOINT', parseEndpoint),
    bucket: read.parsed('WEIR_S3_BUCKET', parseBucket) ?? '',
    region: read.text('WEIR_S3_REGION', 'us-east-1'),
    credentials: readCredentials(read, problems),
    // Amazon wants the bucket in the host; other servers have one host, and often no DNS for it.
    isPathStyle: read.flag('WEIR_S3_FORCE_PATH_STYLE', endpoint === undefined ? 'false' : 'true'),
  }
}

function readCredentials(read: Reader, problems: string[]): S3Config['credentials'] {
  const accessKeyId = read.text('WEIR_S3_ACCESS_KEY_ID', '')
  const secretAccessKey = read.text('WEIR_S3_SECRET_ACCESS_KEY', '')
  if (accessKeyId !== '' && secretAccessKey !== '') {
    return Object.freeze({ accessKeyId, secretAccessKey })
  }
  if (accessKeyId !== '' || secretAccessKey !== '') {
    problems.push(
      'WEIR_S3_ACCESS_KEY_ID and WEIR_S3_SECRET_ACCESS_KEY belong together: set both, or none ' +
        'and let the role of the machine speak.',
    )
  }
  return undefined
}

function parseProfile(text: string): Parsed<'embedded' | 'cluster'> {
  if (text === 'embedded' || text === 'cluster') return { value: text }
  return { problem: `must be embedded or cluster, not "${text}"` }
}

function parseEventStoreDbUrl(text: string): Parsed<string> {
  if (/^(esdb|kurrentdb|kurrent|kdb)(\+discover)?:\/\/[^/?]/.test(text)) return { value: text }
  return { problem: 'must be a connection string like esdb://user:password@host:2113?tls=true' }
}

/** A tilde ends it, so that no prefix is the beginning of another one, or of a stream's name. */
function parseStreamPrefix(text: string): Parsed<string> {
  if (/^\w[\w.-]{0,49}$/.test(text)) return { value: `${text}~` }
  return { problem: 'must be 1 to 50 letters, digits, ".", "_" or "-"' }
}

/** A name or an IPv4 address: kafkajs ends the host at the first colon. */
function parseBroker(text: string): Parsed<string> {
  const port = Number(/^[\w.-]+:(\d{1,5})$/.exec(text)?.[1])
  if (port >= 1 && port <= 65_535) return { value: text }
  return { problem: `must list brokers like kafka-1.internal:9092, not "${text}"` }
}

function parseTopicPrefix(text: string): Parsed<string> {
  if (/^[\w.-]{1,100}$/.test(text)) return { value: text }
  return { problem: 'must be 1 to 100 letters, digits, ".", "_" or "-"' }
}

function parseMechanism(text: string): Parsed<KafkaLoginConfig['mechanism']> {
  const mechanism = saslMechanisms.find((known) => known === text.toLowerCase())
  if (mechanism) return { value: mechanism }
  return { problem: `must be one of ${saslMechanisms.join(', ')}` }
}

function parseEndpoint(text: string): Parsed<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:'
  const isBare = url?.pathname === '/' && !url.search && !url.hash && !url.username
  if (url && isWeb && isBare) return { value: url.origin }
  return { problem: 'must be a URL like https://s3.example.com, without a path' }
}

function parseBucket(text: string): Parsed<string> {
  if (/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text)) return { value: text }
  return { problem: 'must be 3 to 63 small letters, digits, "-" or "."' }
}

/** The text of the file with that name. */
function readPem(file: string): Parsed<string> {
  try {
    const value = readFileSync(file, 'utf8')
    return value.includes('-----BEGIN') ? { value } : { problem: `names no PEM file: ${file}` }
  } catch {
    return { problem: `names a file that cannot be read: ${file}` }
  }
}
