import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { discoverEndpoint } from '@eventstore/db-client/dist/Client/discovery.js'
import {
  parseConnectionString,
  type ConnectionOptions,
} from '@eventstore/db-client/dist/Client/parseConnectionString.js'
import { ChannelCredentials } from '@grpc/grpc-js'

export type EndPoint = { readonly address: string; readonly port: number }

/** What a connection string says. */
export type Settings = {
  readonly credentials: ChannelCredentials
  /** Asks the cluster for its leader; a single node is known without asking. */
  readonly findNode: (failed: EndPoint | undefined) => Promise<EndPoint>
  /** Value of the header `authorization`; null where the server asks for none. */
  readonly authorization: string | null
  readonly keepAliveMs: number
  readonly keepAliveTimeoutMs: number
}

/** A cluster that does not answer is given up after about this many times the gossip timeout. */
const discoverAttemptsMax = 3
const gossipTimeoutSeconds = 2
const keepAliveMs = 10_000
const keepAliveTimeoutMs = 5_000

/** The options that connection strings have; the last two are taken for granted here. */
const knownOptions = new Set([
  ...['tls', 'tlsverifycert', 'tlscafile', 'usercertfile', 'userkeyfile', 'connectionname'],
  ...['maxdiscoverattempts', 'discoveryinterval', 'gossiptimeout', 'keepaliveinterval'],
  ...['keepalivetimeout', 'defaultdeadline', 'nodepreference', 'throwonappendfailure'],
])

/** What the package calls `esdb` has newer names too. */
const newerSchemes = /^(kurrentdb|kurrent|kdb)(?=(\+discover)?:\/\/)/

/**
 * Reads `esdb://user:password@host:2113?tls=true`, with several hosts for a cluster, or
 * `esdb+discover://` for one DNS name.
 *
 * @throws Error when it cannot be read, or names a file that cannot; never with the password in it
 */
export function readConnectionString(text: string): Settings {
  const options = parse(text)
  const isInsecure = options.tls === false
  const { username, password } = options.defaultCredentials ?? {}
  const basic = Buffer.from(`${username ?? ''}:${password ?? ''}`).toString('base64')
  const credentials = isInsecure ? ChannelCredentials.createInsecure() : tlsCredentials(options)
  return {
    credentials,
    findNode: nodeFinder(options, credentials),
    // A server that runs without TLS runs without users, and a password would go over the wire.
    authorization: isInsecure || username === undefined ? null : `Basic ${basic}`,
    keepAliveMs: milliseconds(options.keepAliveInterval, keepAliveMs),
    keepAliveTimeoutMs: milliseconds(options.keepAliveTimeout, keepAliveTimeoutMs),
  }
}

type Options = ConnectionOptions & { readonly isAnyCertificateTaken: boolean }

function parse(text: string): Options {
  const [whole = '', query = '', ...more] = text.trim().replace(newerSchemes, 'esdb').split('?')
  const address = whole.replace(/\/+$/, '')
  if (more.length > 0 || isTorn(address, query)) {
    const how = 'a user and a password, percent-encoded ("?" is %3F, ":" is %3A, "@" is %40)'
    throw new Error(`the EventStoreDB connection string must have before its "@" ${how}`)
  }
  const pairs = query.split('&').filter((pair) => pair !== '')
  const nameOf = (pair: string): string =>
    (pair.split('=')[0] ?? '').toLowerCase().replaceAll(/[_-]/g, '')
  // The package's parser prints the whole string, password and all, when it meets one of these.
  const unknown = pairs.filter((pair) => !knownOptions.has(nameOf(pair)))
  if (unknown.length > 0) {
    const names = unknown.map((pair) => pair.split('=')[0]).join(', ')
    throw new Error(`the EventStoreDB connection string has options that are not known: ${names}`)
  }
  const rest = pairs.filter((pair) => nameOf(pair) !== 'tlsverifycert')
  const isAnyCertificateTaken = pairs.some(
    (pair) => nameOf(pair) === 'tlsverifycert' && /=false$/i.test(pair),
  )
  try {
    const parsed = parseConnectionString(rest.length > 0 ? `${address}?${rest.join('&')}` : address)
    return { ...parsed, isAnyCertificateTaken }
  } catch {
    throw new Error('the EventStoreDB connection string is not like esdb://user:password@host:2113')
  }
}

/**
 * Whether a password would be cut in two: the package takes what is behind a second colon for
 * nothing, and what is behind an `@` for a host.
 */
function isTorn(address: string, query: string): boolean {
  const [user, ...hosts] = address.replace(/^.*?:\/\//, '').split('@')
  if (hosts.length === 0) return query.includes('@')
  return hosts.length > 1 || user?.split(':').length !== 2
}

function tlsCredentials(options: Options): ChannelCredentials {
  const file = (path: string | undefined): Buffer | null =>
    path === undefined ? null : readFileSync(resolve(path))
  const [ca, key, certificate] = [
    file(options.tlsCAFile),
    file(options.userKeyFile),
    file(options.userCertFile),
  ]
  const rejectUnauthorized = !options.isAnyCertificateTaken
  return ChannelCredentials.createSsl(ca, key, certificate, { rejectUnauthorized })
}

function nodeFinder(options: Options, credentials: ChannelCredentials): Settings['findNode'] {
  const [host] = options.hosts
  if (!host) throw new Error('the EventStoreDB connection string names no host')
  if (!options.dnsDiscover && options.hosts.length === 1) return () => Promise.resolve(host)
  const discovery = {
    discoveryInterval: options.discoveryInterval ?? 100,
    maxDiscoverAttempts: options.maxDiscoverAttempts ?? discoverAttemptsMax,
    gossipTimeout: options.gossipTimeout ?? gossipTimeoutSeconds,
    // Only the leader knows what was written last.
    nodePreference: 'leader' as const,
  }
  const seeds = options.dnsDiscover ? { discover: host } : { endpoints: options.hosts }
  return (failed) => discoverEndpoint({ ...discovery, ...seeds }, credentials, failed)
}

/** -1 switches keep-alives off. */
function milliseconds(given: number | undefined, otherwise: number): number {
  if (given === undefined) return otherwise
  return given < 0 ? 2 ** 31 - 1 : given
}
