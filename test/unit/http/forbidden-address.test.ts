import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  isSameAddress,
  judgeAddress,
  judgeHostName,
  type Reach,
} from '../../../infra/http/forbidden-address.ts'

const reachOf = (address: string): Reach => judgeAddress(address).reach

// First and last address of each block, and the neighbours that belong to the internet.
const addresses4: Record<Reach, readonly string[]> = {
  private: [
    ...['10.0.0.0', '10.0.0.1', '10.255.255.255'],
    ...['100.64.0.0', '100.100.100.199', '100.100.100.201', '100.127.255.255'],
    ...['127.0.0.0', '127.0.0.1', '127.1.2.3', '127.255.255.255'],
    ...['172.16.0.0', '172.17.0.1', '172.31.255.255'],
    ...['192.168.0.0', '192.168.1.1', '192.168.255.255'],
  ],
  never: [
    ...['0.0.0.0', '0.0.0.1', '0.255.255.255'],
    ...['100.100.100.200', '168.63.129.16'],
    ...['169.254.0.0', '169.254.169.254', '169.254.170.2', '169.254.255.255'],
    ...['192.0.0.0', '192.0.0.8', '192.0.0.170', '192.0.0.192', '192.0.0.255'],
    ...['192.0.2.0', '192.0.2.255', '198.51.100.0', '198.51.100.255'],
    ...['203.0.113.0', '203.0.113.255', '192.88.99.0', '192.88.99.1', '192.88.99.255'],
    ...['198.18.0.0', '198.18.0.1', '198.19.255.255'],
    ...['224.0.0.0', '224.0.0.251', '239.255.255.250', '239.255.255.255'],
    ...['240.0.0.0', '250.1.2.3', '255.255.255.254', '255.255.255.255'],
  ],
  public: [
    ...['1.0.0.0', '1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '93.184.216.34'],
    ...['100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0'],
    ...['168.63.129.15', '168.63.129.17', '169.253.255.255', '169.255.0.0'],
    ...['172.15.255.255', '172.32.0.0', '191.255.255.255', '192.0.1.0', '192.0.1.255'],
    ...['192.0.3.0', '192.88.98.255', '192.88.100.0', '192.167.255.255', '192.169.0.0'],
    ...['198.17.255.255', '198.20.0.0', '198.51.99.255', '198.51.101.0'],
    ...['203.0.112.255', '203.0.114.0', '223.255.255.255'],
  ],
}

const addresses6: Record<Reach, readonly string[]> = {
  private: [
    ...['::1', '0:0:0:0:0:0:0:1', '0000:0000:0000:0000:0000:0000:0000:0001', '::0001', '0::1'],
    ...['::0.0.0.1', 'fc00::', 'fc00::1', 'fd00::1', 'FD12:3456:789A::1'],
    ...['fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'fd00:ec1::254', 'fd00:ec3::1'],
  ],
  never: [
    ...['::', '0::0', '0:0:0:0:0:0:0:0', '::0.0.0.0'],
    // Compatible, mapped and translated forms, also of addresses that are public.
    ...['::7f00:1', '::127.0.0.1', '::8.8.8.8', '::2', '::ffff', '::ffff:ffff'],
    ...['::ffff:127.0.0.1', '::ffff:7f00:1', '::FFFF:7F00:0001', '0:0:0:0:0:ffff:127.0.0.1'],
    ...['::ffff:10.0.0.1', '::ffff:a00:1', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe'],
    ...['::ffff:8.8.8.8', '::ffff:808:808', '::ffff:0.0.0.0', '::ffff:255.255.255.255'],
    ...['::ffff:0:127.0.0.1', '::ffff:0:8.8.8.8', '::ffff:0:7f00:1'],
    // NAT64.
    ...['64:ff9b::', '64:ff9b::7f00:1', '64:ff9b::127.0.0.1', '64:ff9b::10.0.0.1'],
    ...['64:ff9b::a9fe:a9fe', '64:ff9b::8.8.8.8', '0064:ff9b:0::0808:0808'],
    ...['64:ff9b:1::', '64:ff9b:1::a00:1', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff'],
    ...['64:ff9b:1:7f00:0:100::', '64:ff9b:2::1', '64:ff9b:0:1::1', '64:ff9c::1'],
    // Discard, dummy.
    ...['100::', '100::1', '100::ffff:ffff:ffff:ffff', '100:0:0:1::', '100:0:0:1::1', '100:1::1'],
    // Teredo and the rest of 2001::/23.
    ...['2001::', '2001::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2', '2001:0:7f00:1::'],
    ...['2001:1::1', '2001:2::1', '2001:3::1', '2001:4:112::1', '2001:10::1', '2001:20::1'],
    ...['2001:30::1', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff'],
    // Documentation.
    ...['2001:db8::', '2001:db8::1', '2001:DB8:ffff::1', '2001:0db8:ffff:ffff::ffff'],
    ...['3fff::', '3fff::1', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff'],
    // 6to4, of private and of public addresses.
    ...['2002::', '2002:7f00:1::', '2002:7f00:0001::1', '2002:a00:1::', '2002:c0a8:101::1'],
    ...['2002:a9fe:a9fe::', '2002:808:808::1', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ...['3ffe::1', '5f00::1', '5f00:ffff::1'],
    // Link-local, site-local, multicast, with and without a zone.
    ...['fe80::', 'fe80::1', 'fe80::1%eth0', 'fe80::a9fe:a9fe', 'febf::1', 'fe90::1'],
    ...['fec0::', 'fec0::1', 'feff::1', 'ff00::', 'ff01::1', 'ff02::1', 'ff02::fb', 'ff0e::1'],
    ...['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::1%lo', '2606:4700::1%eth0'],
    // Metadata.
    ...['fd00:ec2::254', 'fd00:0ec2:0:0:0:0:0:254', 'fd00:ec2::23', 'fd00:ec2::250'],
    ...['fd20:ce::254', 'fd00:c1::a9fe:a9fe', 'fd00:42::42'],
    // Outside of what IANA assigns.
    ...['1::', '200::1', '400::1', '1000::1', '1fff:ffff::1', '4000::', '4000::1', '6000::1'],
    ...['8000::1', 'a000::1', 'c000::1', 'e000::1', 'f000::1', 'f800::1', 'fe00::1', 'fbff::1'],
  ],
  public: [
    ...['2000::1', '2001:200::', '2001:200::1', '2001:4860:4860::8888', '2001:db7:ffff::1'],
    ...['2001:db9::', '2003::1', '2400:cb00::1', '2606:4700:4700::1111', '2606:4700:0:0:0:0:0:1'],
    ...['2620:fe::fe', '2a00:1450:4001::1', '2001:ffff::1', '3ffd::1', '3fff:1000::1'],
    ...['2A00:1450:4001:0830:0000:0000:0000:200E', '2606:4700::1.2.3.4'],
  ],
}

describe.each(['public', 'private', 'never'] as const)('addresses that are %s', (reach) => {
  test.each([...addresses4[reach], ...addresses6[reach]])('%s', (address) => {
    expect(reachOf(address)).toBe(reach)
  })
})

test.each([
  ...['', ' ', 'localhost', '127.0.0.1 ', ' 127.0.0.1', '127.1', '0x7f.0.0.1', '0177.0.0.1'],
  ...['2130706433', '1.2.3', '1.2.3.4.5', '256.1.1.1', '1.2.3.4:80', '[::1]', '::1/128', ':::'],
  ...['1::2::3', '12345::', '::g', '::ffff:1.2.3', '08.8.8.8', '8.8.8.8\n', '８.8.8.8'],
])('%j is not an address and never called', (text) => {
  expect(judgeAddress(text)).toEqual({ reach: 'never', rule: 'not an IP address' })
})

const group = fc.integer({ min: 0, max: 0xffff })
const address6 = fc.tuple(group, group, group, group, group, group, group, group)
const address4 = fc.tuple(...([1, 2, 3, 4] as const).map(() => fc.integer({ min: 0, max: 255 })))

test('the verdict does not depend on how an IPv6 address is written', () => {
  fc.assert(
    fc.property(address6, (groups) => {
      const long = groups.map((each) => each.toString(16).padStart(4, '0')).join(':')
      const short = new URL(`http://[${long}]`).hostname.slice(1, -1)
      const [seventh, eighth] = [groups[6], groups[7]]
      const tail = [seventh >> 8, seventh & 255, eighth >> 8, eighth & 255].join('.')
      const dotted = `${groups
        .slice(0, 6)
        .map((each) => each.toString(16))
        .join(':')}:${tail}`
      const verdict = judgeAddress(long)
      expect(judgeAddress(short)).toEqual(verdict)
      expect(judgeAddress(long.toUpperCase())).toEqual(verdict)
      expect(judgeAddress(dotted)).toEqual(verdict)
      expect(isSameAddress(long, short)).toBe(true)
    }),
  )
})

test('no IPv6 form of an IPv4 address is ever called', () => {
  fc.assert(
    fc.property(address4, ([a = 0, b = 0, c = 0, d = 0]) => {
      const dotted = [a, b, c, d].join('.')
      const high = ((a << 8) | b).toString(16)
      const low = ((c << 8) | d).toString(16)
      const embedded = [
        `::ffff:${dotted}`,
        `::ffff:0:${dotted}`,
        `64:ff9b::${dotted}`,
        `64:ff9b:1::${dotted}`,
        `2002:${high}:${low}::1`,
        `2001:0:${high}:${low}::1`,
      ]
      expect(embedded.map(reachOf)).toEqual(embedded.map(() => 'never'))
    }),
  )
})

test('addresses outside of 2000::/3 are never public', () => {
  fc.assert(
    fc.property(address6, (groups) => {
      const text = groups.map((each) => each.toString(16)).join(':')
      fc.pre(groups[0] >> 13 !== 1)
      expect(reachOf(text)).not.toBe('public')
    }),
  )
})

const names: Record<Reach, readonly string[]> = {
  private: [
    ...['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'a.b.localhost.', 'db', 'redis.'],
    ...['localhost.localdomain', 'printer.local', 'vault.internal', 'a.intranet', 'x.corp'],
    ...['nas.home', 'router.lan', 'a.home.arpa', 'home.arpa', 'foo.test', 'foo.private', ''],
  ],
  never: [
    ...['metadata', 'metadata.google.internal', 'METADATA.google.internal.', 'metadata.goog'],
    ...['instance-data', 'instance-data.ec2.internal', 'metadata.azure.com', 'x.example'],
    ...['a.invalid', 'abc.onion', '1.0.0.127.in-addr.arpa', 'x.alt', 'example'],
  ],
  public: [
    ...['example.com', 'hooks.example.com', 'localhost.com', 'local.io', 'internal.example.org'],
    ...['mylocalhost.dev', 'metadata.google.internal.example.com', 'xn--bcher-kva.de'],
  ],
}

describe.each(['public', 'private', 'never'] as const)('names that are %s', (reach) => {
  test.each(names[reach])('%j', (name) => {
    expect(judgeHostName(name).reach).toBe(reach)
  })
})

test('tells two addresses apart, whatever their notation', () => {
  expect(isSameAddress('1.2.3.4', '1.2.3.4')).toBe(true)
  expect(isSameAddress('2606:4700::1', '2606:4700:0:0:0:0:0:1')).toBe(true)
  expect(isSameAddress('1.2.3.4', '1.2.3.5')).toBe(false)
  expect(isSameAddress('1.2.3.4', '::ffff:1.2.3.4')).toBe(false)
  expect(isSameAddress('fe80::1%a', 'fe80::1%a')).toBe(false)
  expect(isSameAddress('nowhere', 'nowhere')).toBe(false)
})
