import { isIPv4, isIPv6 } from 'node:net'

/**
 * Whether weir may open a connection to an address or a name that a customer chose.
 *
 * - `public`: yes.
 * - `private`: only on a developer's machine (`WEIR_ALLOW_PRIVATE_WEBHOOKS=true`).
 * - `never`: not even there.
 */
export type Reach = 'public' | 'private' | 'never'

/** A verdict and the block or rule it comes from, for the sentence that the customer reads. */
export type ReachVerdict = { readonly reach: Reach; readonly rule: string }

type Block = { readonly first: bigint; readonly bits: bigint; readonly verdict: ReachVerdict }

// Sources: IANA IPv4 Special-Purpose Address Registry (RFC 6890, updated by RFC 8190), IANA IPv4
// Address Space Registry, and the documentation of the clouds for their metadata services. The
// first matching row decides, so exceptions stand above the block that contains them. Link-local
// is `never`, because that is where clouds keep the credentials of the machine.
const blocks4: readonly Block[] = [
  block4('100.100.100.200/32', 'never', 'metadata service of Alibaba Cloud'),
  block4('168.63.129.16/32', 'never', 'platform address of Azure'),
  block4('0.0.0.0/8', 'never', 'this network, RFC 791'),
  block4('10.0.0.0/8', 'private', 'private use, RFC 1918'),
  block4('100.64.0.0/10', 'private', 'shared address space, RFC 6598'),
  block4('127.0.0.0/8', 'private', 'loopback, RFC 1122'),
  block4('169.254.0.0/16', 'never', 'link-local and cloud metadata, RFC 3927'),
  block4('172.16.0.0/12', 'private', 'private use, RFC 1918'),
  block4('192.0.0.0/24', 'never', 'IETF protocol assignments, RFC 6890'),
  block4('192.0.2.0/24', 'never', 'documentation, RFC 5737'),
  block4('192.88.99.0/24', 'never', '6to4 relay anycast, RFC 7526'),
  block4('192.168.0.0/16', 'private', 'private use, RFC 1918'),
  block4('198.18.0.0/15', 'never', 'benchmarking, RFC 2544'),
  block4('198.51.100.0/24', 'never', 'documentation, RFC 5737'),
  block4('203.0.113.0/24', 'never', 'documentation, RFC 5737'),
  block4('224.0.0.0/4', 'never', 'multicast, RFC 5771'),
  block4('240.0.0.0/4', 'never', 'reserved and broadcast, RFC 1112 and RFC 919'),
]

// Sources: IANA IPv6 Special-Purpose Address Registry, RFC 4291, and the documentation of the
// clouds. Forms that carry an IPv4 address inside are refused as a class: what they reach depends
// on a translator that weir cannot see. (In a network with DNS64, a name with only IPv4 addresses
// therefore cannot be called.)
const blocks6: readonly Block[] = [
  block6('::1/128', 'private', 'loopback, RFC 4291'),
  block6('fd00:ec2::/32', 'never', 'metadata services of AWS'),
  block6('fd20:ce::254/128', 'never', 'metadata service of Google Cloud'),
  block6('fd00:c1::a9fe:a9fe/128', 'never', 'metadata service of Oracle Cloud'),
  block6('fd00:42::42/128', 'never', 'metadata service of Scaleway'),
  block6('fc00::/7', 'private', 'unique local, RFC 4193'),
  block6('::/128', 'never', 'unspecified, RFC 4291'),
  block6('::ffff:0:0/96', 'never', 'IPv4-mapped, RFC 4291'),
  block6('::ffff:0:0:0/96', 'never', 'IPv4-translated, RFC 2765'),
  block6('::/96', 'never', 'IPv4-compatible, RFC 4291'),
  block6('64:ff9b::/96', 'never', 'NAT64, RFC 6052'),
  block6('64:ff9b:1::/48', 'never', 'local NAT64, RFC 8215'),
  block6('100::/64', 'never', 'discard only, RFC 6666'),
  block6('100:0:0:1::/64', 'never', 'dummy prefix, RFC 9780'),
  block6('2001::/32', 'never', 'Teredo, RFC 4380'),
  block6('2001::/23', 'never', 'IETF protocol assignments, RFC 2928'),
  block6('2001:db8::/32', 'never', 'documentation, RFC 3849'),
  block6('2002::/16', 'never', '6to4, RFC 3056'),
  block6('3ffe::/16', 'never', 'returned 6bone, RFC 3701'),
  block6('3fff::/20', 'never', 'documentation, RFC 9637'),
  block6('5f00::/16', 'never', 'segment routing, RFC 9602'),
  block6('fe80::/10', 'never', 'link-local, RFC 4291'),
  block6('fec0::/10', 'never', 'site-local, RFC 3879'),
  block6('ff00::/8', 'never', 'multicast, RFC 4291'),
]

// IANA assigns IPv6 unicast addresses from 2000::/3 only; whatever lies outside is not the
// internet, also where no row above names it.
const globalUnicast6 = block6('2000::/3', 'public', 'global unicast, RFC 4291')

const publicVerdict: ReachVerdict = { reach: 'public', rule: 'public' }

/**
 * Judges an IP address as `new URL`, the resolver or a socket give it: dotted IPv4, or IPv6 in any
 * notation, without brackets. Anything else, also an address with a zone, is `never`.
 */
export function judgeAddress(address: string): ReachVerdict {
  if (isIPv4(address)) {
    const value = parse4(address)
    return blocks4.find((block) => contains(block, value))?.verdict ?? publicVerdict
  }
  if (!isIPv6(address)) return { reach: 'never', rule: 'not an IP address' }
  if (address.includes('%')) return { reach: 'never', rule: 'address with a zone, RFC 4007' }
  const value = parse6(address)
  const named = blocks6.find((block) => contains(block, value))
  if (named !== undefined) return named.verdict
  if (contains(globalUnicast6, value)) return publicVerdict
  return { reach: 'never', rule: 'outside of global unicast, RFC 4291' }
}

/** Whether two notations are one address. False when either is not an address. */
export function isSameAddress(left: string, right: string): boolean {
  if (isIPv4(left) && isIPv4(right)) return parse4(left) === parse4(right)
  if (left.includes('%') || right.includes('%')) return false
  return isIPv6(left) && isIPv6(right) && parse6(left) === parse6(right)
}

// Names of metadata services, which resolve to link-local addresses inside their clouds.
const metadataNames = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'metadata.azure.com',
  'metadata.azure.internal',
  'metadata.tencentyun.com',
  'instance-data',
  'instance-data.ec2.internal',
])

// Names that never stand in the public DNS. Sources: RFC 6761 (localhost, test, example, invalid),
// RFC 6762 (local, and appendix G for the names that routers and companies use), RFC 8375
// (home.arpa), RFC 7686 (onion), RFC 9476 (alt), and ICANN's reservation of `internal` (2024).
const reservedSuffixes: ReadonlyMap<string, Reach> = new Map([
  ['localhost', 'private'],
  ['localdomain', 'private'],
  ['local', 'private'],
  ['internal', 'private'],
  ['intranet', 'private'],
  ['private', 'private'],
  ['corp', 'private'],
  ['home', 'private'],
  ['lan', 'private'],
  ['test', 'private'],
  ['home.arpa', 'private'],
  ['arpa', 'never'],
  ['example', 'never'],
  ['invalid', 'never'],
  ['onion', 'never'],
  ['alt', 'never'],
])

/** Judges a host name as `new URL` gives it. It says nothing about what the name resolves to. */
export function judgeHostName(hostName: string): ReachVerdict {
  const name = hostName.toLowerCase().replace(/\.$/, '')
  if (metadataNames.has(name)) return { reach: 'never', rule: 'name of a metadata service' }
  const labels = name.split('.')
  for (const count of [2, 1]) {
    const suffix = labels.slice(-count).join('.')
    const reach = reservedSuffixes.get(suffix)
    if (reach !== undefined) return { reach, rule: `reserved name .${suffix}` }
  }
  if (labels.length < 2) return { reach: 'private', rule: 'name without a dot' }
  return publicVerdict
}

function contains(block: Block, value: bigint): boolean {
  return value >> block.bits === block.first
}

function block4(range: string, reach: Reach, rule: string): Block {
  return toBlock(range, { parse: parse4, width: 32 }, { reach, rule })
}

function block6(range: string, reach: Reach, rule: string): Block {
  return toBlock(range, { parse: parse6, width: 128 }, { reach, rule })
}

function toBlock(
  range: string,
  family: { readonly parse: (address: string) => bigint; readonly width: number },
  verdict: ReachVerdict,
): Block {
  const [address = '', length = ''] = range.split('/')
  const bits = BigInt(family.width - Number(length))
  return { first: family.parse(address) >> bits, bits, verdict }
}

function parse4(address: string): bigint {
  return address.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n)
}

/** Expects what `isIPv6` accepts, without a zone. */
function parse6(address: string): bigint {
  const [head = '', tail] = expandDotted(address).split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  const groups = [...left, ...zeros, ...right]
  return groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n)
}

/** Writes a dotted tail (`::ffff:10.0.0.1`) as two groups. */
function expandDotted(address: string): string {
  if (!address.includes('.')) return address
  const cut = address.lastIndexOf(':') + 1
  const value = parse4(address.slice(cut))
  return `${address.slice(0, cut)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`
}
