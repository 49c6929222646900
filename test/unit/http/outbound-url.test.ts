import { expect, test } from '@jest/globals'
import { checkOutboundUrl } from '../../../infra/http/outbound-url.ts'

const inProduction = { allowPrivate: false }
const inDevelopment = { allowPrivate: true }

test.each([
  'https://example.com',
  'https://example.com:8443/hook?x=1#part',
  'https://EXAMPLE.com./hook',
  'https://bücher.example.com/',
  'https://93.184.216.34/',
  'https://[2606:4700:4700::1111]/',
  'https://0x08080808/',
  'https:example.com',
])('%s may be called', (url) => {
  expect(checkOutboundUrl(url, inProduction)).toEqual({ ok: true })
})

// What `new URL` makes 127.0.0.1, ::1 or another address of the machine or its network from.
const loopbackSpellings = [
  ...['https://127.0.0.1', 'https://127.1', 'https://127.0.1', 'https://127.0.0.1.'],
  ...['https://2130706433', 'https://0x7f000001', 'https://0x7f.1', 'https://0x7f.0x0.0x0.0x1'],
  ...['https://017700000001', 'https://0177.0.0.1', 'https://0177.0.0.01', 'https://127.0x1'],
  ...['https://00000000177.0.0.1', 'https://127.0.0.1:8080', 'https://１２７.0.0.1'],
  ...['https://127。0。0。1', 'https://%31%32%37.0.0.1', 'https://①②⑦.⓪.⓪.①'],
  ...['https://[::1]', 'https://[0:0:0:0:0:0:0:1]', 'https://[::0.0.0.1]', 'https://[0::1]:99'],
  ...['https://localhost', 'https://LocalHost', 'https://localhost.', 'https://a.localhost'],
  ...['https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ', 'https://loc\talhost', 'https:\\\\localhost\\x', ' https://localhost '],
  ...['https://10.1', 'https://0xa000001', 'https://192.168.257', 'https://3232235777'],
  ...['https://172.16.1', 'https://[fd12::1]', 'https://database', 'https://vault.internal/x'],
]

test.each(loopbackSpellings)('%j is refused, and WEIR_ALLOW_PRIVATE_WEBHOOKS helps', (url) => {
  expect(checkOutboundUrl(url, inProduction)).toMatchObject({ ok: false, wouldHelp: true })
  expect(checkOutboundUrl(url, inDevelopment)).toEqual({ ok: true })
})

const neverSpellings = [
  ...['https://169.254.169.254/latest/meta-data', 'https://2852039166', 'https://0xa9fea9fe'],
  ...['https://0251.0376.0251.0376', 'https://169.254.43518', 'https://[::ffff:169.254.169.254]'],
  ...['https://[::ffff:a9fe:a9fe]', 'https://[fd00:ec2::254]', 'https://[64:ff9b::a9fe:a9fe]'],
  ...['https://[2002:a9fe:a9fe::]', 'https://metadata.google.internal', 'https://metadata'],
  ...['https://0', 'https://0.0.0.0', 'https://0x0', 'https://[::]', 'https://255.255.255.255'],
  ...['https://[::ffff:127.0.0.1]', 'https://[::127.0.0.1]', 'https://[64:ff9b::127.0.0.1]'],
  ...['https://[2002:7f00:1::]', 'https://[fe80::1]', 'https://224.0.0.1', 'https://[ff02::1]'],
  ...['https://100.100.100.200', 'https://168.63.129.16', 'https://203.0.113.7'],
]

test.each(neverSpellings)('%j is refused, also in development', (url) => {
  expect(checkOutboundUrl(url, inProduction)).toMatchObject({ ok: false, wouldHelp: false })
  expect(checkOutboundUrl(url, inDevelopment)).toMatchObject({ ok: false, wouldHelp: false })
})

test.each([
  ['', 'This is not an absolute URL.'],
  ['example.com/hook', 'This is not an absolute URL.'],
  ['/hook', 'This is not an absolute URL.'],
  ['https://', 'This is not an absolute URL.'],
  ['https://[::1%25eth0]/', 'This is not an absolute URL.'],
  ['https://1.2.3.4.5', 'This is not an absolute URL.'],
  ['https://256.256.256.256', 'This is not an absolute URL.'],
  ['https://example.com:65536', 'This is not an absolute URL.'],
  ['https://exa mple.com', 'This is not an absolute URL.'],
  ['ftp://example.com', 'The URL must use https.'],
  ['file:///etc/passwd', 'The URL must use https.'],
  ['gopher://example.com', 'The URL must use https.'],
  ['data:text/plain,x', 'The URL must use https.'],
  ['javascript:alert(1)', 'The URL must use https.'],
  ['wss://example.com', 'The URL must use https.'],
  ['https://user@example.com', 'The URL must not contain a user name or a password.'],
  ['https://user:secret@example.com', 'The URL must not contain a user name or a password.'],
  ['https://example.com@127.0.0.1', 'The URL must not contain a user name or a password.'],
  ['https://example.com:0', 'The URL must not use port 0.'],
  [`https://example.com/${'x'.repeat(2_048)}`, 'The URL is longer than 2048 characters.'],
])('%s: %s', (url, reason) => {
  expect(checkOutboundUrl(url, inDevelopment)).toEqual({ ok: false, reason, wouldHelp: false })
})

test('http is for development', () => {
  expect(checkOutboundUrl('http://example.com', inProduction)).toEqual({
    ok: false,
    reason: 'The URL must use https.',
    wouldHelp: true,
  })
  expect(checkOutboundUrl('http://localhost:3000/hook', inDevelopment)).toEqual({ ok: true })
})

test('the reason names the host as it was understood, and the rule', () => {
  expect(checkOutboundUrl('https://2130706433/x', inProduction)).toMatchObject({
    reason: '127.0.0.1 must not be called from here (loopback, RFC 1122).',
  })
})
