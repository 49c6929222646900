import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { printableCluster, readCluster, type ClusterConfig } from './cluster-config.ts'
import { readerOf, type Environment, type Parsed } from './environment.ts'

export const roles = ['api', 'worker', 'projector'] as const
export type Role = (typeof roles)[number]

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

const secretKeyBytes = 32
const portMax = 65_535

export interface Config {
  /** Absolute path of the folder that holds all state. */
  readonly home: string
  readonly host: string
  readonly port: number
  /** Metrics port of the api; the worker listens on +1 and the projector on +2. */
  readonly metricsPort: number
  /** False when nobody chose the metrics port: then the launcher may move it out of the way. */
  readonly isMetricsPortChosen: boolean
  /** Base URL in links, without a trailing slash. */
  readonly publicUrl: string
  /** Absent: the launcher starts an embedded Postgres. */
  readonly databaseUrl: string | undefined
  /** The roles of this process; none means it is the launcher of all three. */
  readonly roles: readonly Role[]
  readonly isProduction: boolean
  readonly arePrivateWebhooksAllowed: boolean
  readonly isSandboxOn: boolean
  readonly corsOrigins: readonly string[]
  /** Whose `X-Forwarded-*` is believed: so many proxies in a row, or those; none: nobody's. */
  readonly trustedProxies: number | readonly string[]
  /** 32 bytes, when given; otherwise `loadSecretKey(home)` has them. */
  readonly secretKey: Uint8Array | undefined
  readonly logLevel: LogLevel
  /** Where each role keeps its log; absent: stdout. */
  readonly logFolder: string | undefined
  /** Days for which delivered webhooks are kept; 0: for ever. */
  readonly webhookRetentionDays: number
  readonly workerConcurrency: number
  readonly leaseMs: number
  readonly drainMs: number
  /** Whether `OTEL_EXPORTER_OTLP_ENDPOINT` says where traces go; its exporter reads the rest. */
  readonly isTracingOn: boolean
  /** Where errors are reported, Sentry-compatible; absent: nowhere. */
  readonly sentryDsn: string | undefined
  /** Absent: everything is on this machine. */
  readonly cluster: ClusterConfig | undefined
}

/** Environment variables that weir cannot start with; the message has one sentence for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/**
 * Reads the environment, the only place that does.
 *
 * @throws ConfigError with a sentence for every variable that is wrong
 */
export function readConfig(environment: Environment = process.env): Config {
  const problems: string[] = []
  const read = readerOf(environment, problems)
  const host = read.text('WEIR_HOST', '127.0.0.1')
  const home = resolve(read.text('WEIR_HOME', '.weir'))
  const chosenRoles = read.list('WEIR_ROLES', parseRole)
  // Lines of three processes would bury what the launcher has to say.
  const logsByDefault = chosenRoles.length === 0 ? join(home, 'logs') : 'stdout'
  const port = read.integer('WEIR_PORT', 3000, { min: 1, max: portMax })
  const config: Config = {
    home,
    host,
    port,
    metricsPort: read.integer('WEIR_METRICS_PORT', 9464, { min: 1, max: portMax - 2 }),
    isMetricsPortChosen: read.text('WEIR_METRICS_PORT', '') !== '',
    publicUrl: read.parsed('WEIR_PUBLIC_URL', parsePublicUrl) ?? localUrl(host, port),
    databaseUrl: read.parsed('DATABASE_URL', parseDatabaseUrl),
    roles: Object.freeze(chosenRoles),
    isProduction: environment['NODE_ENV'] === 'production',
    arePrivateWebhooksAllowed: read.flag('WEIR_ALLOW_PRIVATE_WEBHOOKS', 'false'),
    isSandboxOn: read.flag('WEIR_SANDBOX', 'true'),
    corsOrigins: Object.freeze(read.list('WEIR_CORS_ORIGINS', parseOrigin)),
    trustedProxies: read.parsed('WEIR_TRUSTED_PROXIES', parseTrustedProxies) ?? noProxies,
    secretKey:
      read.parsed('WEIR_SECRET_KEY', parseSecretKey) ??
      read.parsed('WEIR_SECRET_KEY_FILE', readSecretKeyFile),
    logLevel: read.parsed('WEIR_LOG_LEVEL', parseLogLevel) ?? 'info',
    logFolder: logFolderOf(read.text('WEIR_LOG_FOLDER', logsByDefault)),
    webhookRetentionDays: read.integer('WEIR_WEBHOOK_RETENTION_DAYS', 30, { min: 0, max: 36_500 }),
    workerConcurrency: read.integer('WEIR_WORKER_CONCURRENCY', 100, { min: 1, max: 10_000 }),
    leaseMs: read.integer('WEIR_LEASE_MS', 15_000, { min: 100, max: 3_600_000 }),
    isTracingOn: hasTraceEndpoint((name, otherwise) => read.text(name, otherwise)),
    sentryDsn: read.parsed('SENTRY_DSN', parseDsn),
    drainMs: read.integer('WEIR_DRAIN_MS', 8_000, { min: 0, max: 3_600_000 }),
    cluster: readCluster(environment, read, problems),
  }
  problems.push(...conflicts(config))
  if (problems.length > 0) throw new ConfigError(problems.join('\n'))
  return Object.freeze(config)
}

function logFolderOf(text: string): string | undefined {
  return text === 'stdout' ? undefined : resolve(text)
}

function conflicts(config: Config): string[] {
  const problems: string[] = []
  if (config.isProduction && config.arePrivateWebhooksAllowed) {
    problems.push(
      'WEIR_ALLOW_PRIVATE_WEBHOOKS is for development; with NODE_ENV=production leave it out.',
    )
  }
  const isAmongMetrics = config.port >= config.metricsPort && config.port <= config.metricsPort + 2
  if (isAmongMetrics && config.isMetricsPortChosen) {
    problems.push(
      `WEIR_PORT ${config.port} is one of the three ports from WEIR_METRICS_PORT ` +
        `${config.metricsPort} on; move one of them.`,
    )
  }
  if (config.roles.length > 0 && config.databaseUrl === undefined) {
    problems.push('DATABASE_URL must be set when WEIR_ROLES is: only the launcher starts Postgres.')
  }
  if (config.roles.length > 0 && config.cluster && config.secretKey === undefined) {
    problems.push(
      'WEIR_SECRET_KEY or WEIR_SECRET_KEY_FILE must be set: processes of a cluster share no ' +
        'folder to find the key in.',
    )
  }
  return problems
}

/** The metrics port of one role. */
export function metricsPortOf(config: Config, role: Role): number {
  return config.metricsPort + roles.indexOf(role)
}

/** How long delivered webhooks are kept, ms; null for ever. */
export function webhooksKeptMs({ webhookRetentionDays: days }: Config): number | null {
  return days === 0 ? null : days * 86_400_000
}

/** The base URL under which programs on this machine reach the api. */
export function localUrl(host: string, port: number): string {
  const reachable = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }[host] ?? host
  const bracketed = reachable.includes(':') && !reachable.startsWith('[')
  return `http://${bracketed ? `[${reachable}]` : reachable}:${port}`
}

/**
 * The environment of a role's process: this process's own, with every setting of weir replaced by
 * what `config` says.
 */
export function roleEnvironment(config: Config, role: Role): Record<string, string | undefined> {
  const { secretKey } = config
  return {
    ...process.env,
    WEIR_HOME: config.home,
    WEIR_HOST: config.host,
    WEIR_PORT: String(config.port),
    WEIR_METRICS_PORT: String(config.metricsPort),
    WEIR_PUBLIC_URL: config.publicUrl,
    DATABASE_URL: config.databaseUrl,
    WEIR_ROLES: role,
    WEIR_ALLOW_PRIVATE_WEBHOOKS: String(config.arePrivateWebhooksAllowed),
    WEIR_SANDBOX: String(config.isSandboxOn),
    WEIR_CORS_ORIGINS: config.corsOrigins.join(','),
    WEIR_TRUSTED_PROXIES: String(config.trustedProxies),
    WEIR_SECRET_KEY: secretKey && Buffer.from(secretKey).toString('base64'),
    WEIR_LOG_LEVEL: config.logLevel,
    WEIR_LOG_FOLDER: config.logFolder ?? 'stdout',
    WEIR_WEBHOOK_RETENTION_DAYS: String(config.webhookRetentionDays),
    WEIR_WORKER_CONCURRENCY: String(config.workerConcurrency),
    WEIR_LEASE_MS: String(config.leaseMs),
    WEIR_DRAIN_MS: String(config.drainMs),
    SENTRY_DSN: config.sentryDsn,
    ...config.cluster?.variables,
  }
}

/** The configuration as it may be logged: no password and no key. */
export function printableConfig(config: Config): Record<string, unknown> {
  return {
    ...config,
    databaseUrl: config.databaseUrl === undefined ? undefined : withoutPassword(config.databaseUrl),
    secretKey: config.secretKey === undefined ? 'in WEIR_HOME' : 'given',
    sentryDsn: config.sentryDsn === undefined ? undefined : 'given',
    cluster: config.cluster && printableCluster(config.cluster),
  }
}

/** `databaseUrl` as it may be shown: passwords are replaced by three stars. */
export function withoutPassword(databaseUrl: string): string {
  const url = new URL(databaseUrl)
  if (url.password) url.password = '***'
  if (url.searchParams.has('password')) url.searchParams.set('password', '***')
  return url.href
}

/**
 * The key that seals secrets at rest, from `secret.key` in the home; made on the first call.
 * Several processes may call it at once and get the same key.
 *
 * @throws ConfigError when the file does not hold 32 bytes of base64
 */
export function loadSecretKey(home: string): Uint8Array {
  const file = join(home, 'secret.key')
  const existing = readIfThere(file)
  if (existing === undefined) {
    createSecretKey(home, file)
    return loadSecretKey(home)
  }
  const parsed = parseSecretKey(existing.trim())
  if ('problem' in parsed) throw new ConfigError(`${file} ${parsed.problem}.`)
  return parsed.value
}

function createSecretKey(home: string, file: string): void {
  mkdirSync(home, { recursive: true })
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  const text = `${randomBytes(secretKeyBytes).toString('base64')}\n`
  // Whatever it signs and seals is lost with it: it is on the disk before it is used.
  writeFileSync(draft, text, { mode: 0o600, flush: true })
  try {
    // A link, unlike a rename, never replaces the key that another process has just put there.
    linkSync(draft, file)
  } catch (error) {
    if (!isErrorWithCode(error, 'EEXIST')) throw error
  } finally {
    unlinkSync(draft)
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isErrorWithCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function isErrorWithCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code
}

function parseSecretKey(text: string): Parsed<Uint8Array> {
  const bytes = Buffer.from(text, 'base64')
  const isBase64 = /^[A-Za-z0-9+/_-]+={0,2}$/.test(text)
  if (isBase64 && bytes.length === secretKeyBytes) return { value: new Uint8Array(bytes) }
  return { problem: 'must hold 32 bytes in base64; "openssl rand -base64 32" makes such a key' }
}

function readSecretKeyFile(file: string): Parsed<Uint8Array> {
  try {
    const text = readIfThere(file)
    if (text !== undefined) return parseSecretKey(text.trim())
    return { problem: `names a file that is not there: ${file}` }
  } catch {
    return { problem: `names a file that cannot be read: ${file}` }
  }
}

function parseDatabaseUrl(text: string): Parsed<string> {
  const protocol = URL.canParse(text) ? new URL(text).protocol : ''
  if (protocol === 'postgres:' || protocol === 'postgresql:') return { value: text }
  return { problem: 'must be a URL like postgres://user:password@host:5432/database' }
}

function hasTraceEndpoint(text: (name: string, fallback: string) => string): boolean {
  const names = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']
  return names.some((name) => text(name, '') !== '')
}

function parseDsn(text: string): Parsed<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (isWeb && url.username && /^\/(.+\/)?\w+$/.test(url.pathname)) return { value: text }
  return { problem: 'must be a DSN like https://key@errors.example.com/1' }
}

function parsePublicUrl(text: string): Parsed<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (url === undefined || !isWeb || url.search || url.hash) {
    return { problem: 'must be a URL like https://weir.example.com' }
  }
  return { value: url.href.replace(/\/+$/, '') }
}

function parseOrigin(text: string): Parsed<string> {
  const origin = URL.canParse(text) ? new URL(text).origin : ''
  if (origin === text.replace(/\/$/, '')) return { value: origin }
  return { problem: `must list origins like https://app.example.com, not "${text}"` }
}

const noProxies: readonly string[] = Object.freeze([])
const proxyRanges = ['loopback', 'linklocal', 'uniquelocal']

function parseTrustedProxies(text: string): Parsed<Config['trustedProxies']> {
  if (/^\d{1,2}$/.test(text)) return { value: Number(text) }
  const items = text.split(',').map((item) => item.trim())
  const wrong = items.find((item) => !proxyRanges.includes(item) && !isNetwork(item))
  if (wrong === undefined) return { value: Object.freeze(items) }
  const problem =
    'must be a number of proxies, or a list of addresses and networks like ' +
    `127.0.0.1,10.0.0.0/8, not "${wrong}"`
  return { problem }
}

function isNetwork(text: string): boolean {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  const bitsMax = version === 4 ? 32 : 128
  return version > 0 && (bits === undefined || (Number(bits) > 0 && Number(bits) <= bitsMax))
}

function parseRole(text: string): Parsed<Role> {
  const role = roles.find((known) => known === text)
  if (role) return { value: role }
  return { problem: `must be a comma-separated list of ${roles.join(', ')}, not "${text}"` }
}

function parseLogLevel(text: string): Parsed<LogLevel> {
  const level = logLevels.find((known) => known === text)
  return level ? { value: level } : { problem: `must be one of ${logLevels.join(', ')}` }
}
