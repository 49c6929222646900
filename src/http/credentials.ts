import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Scope } from '../../domain/account/account-events.ts'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const checksumLength = 6
const secretBytes = 24
const orgBytes = 16
const serialBytes = 6

/** An API key in its parts. The key id carries the org, so that no table is needed to find it. */
export type ApiKeyParts = {
  readonly keyId: string
  readonly orgId: string
  readonly secret: string
}

/** A new key: what is shown once, and what is kept. */
export type NewApiKey = ApiKeyParts & { readonly apiKey: string; readonly secretSha256: string }

/** @param random gives unpredictable bytes */
export function newApiKey(orgId: string, random: (count: number) => Uint8Array): NewApiKey {
  const org = Buffer.from(orgId.replaceAll('-', ''), 'hex')
  const keyId = toBase62(Buffer.concat([org, random(serialBytes)]))
  const secret = toBase62(random(secretBytes))
  const apiKey = assemble('live', keyId, secret)
  return { apiKey, keyId, orgId, secret, secretSha256: sha256(secret) }
}

/** Reads a key without asking anybody; null when it cannot be one of ours. */
export function parseApiKey(text: string): ApiKeyParts | null {
  const parts = parse('live', text)
  if (!parts) return null
  const bytes = fromBase62(parts.id, orgBytes + serialBytes)
  if (!bytes) return null
  const hex = Buffer.from(bytes.subarray(0, orgBytes)).toString('hex')
  const orgId = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return { keyId: parts.id, orgId, secret: parts.secret }
}

/** A new admin token for an operator. */
export function newAdminToken(operatorId: string, random: (count: number) => Uint8Array) {
  const secret = toBase62(random(secretBytes))
  const token = assemble('admin', operatorId, secret)
  return { token, secretSha256: sha256(secret) }
}

export function parseAdminToken(text: string): { operatorId: string; secret: string } | null {
  const parts = parse('admin', text)
  return parts && { operatorId: parts.id, secret: parts.secret }
}

/** The secret of a browser's session, and what is kept of it. */
export function newSessionToken(random: (count: number) => Uint8Array) {
  const sessionId = toBase62(random(serialBytes * 2))
  const secret = toBase62(random(secretBytes))
  return {
    sessionId,
    token: assemble('session', sessionId, secret),
    secretSha256: sha256(secret),
  }
}

export function parseSessionToken(text: string): { sessionId: string; secret: string } | null {
  const parts = parse('session', text)
  return parts && { sessionId: parts.id, secret: parts.secret }
}

/** Whether the secret is the one whose hash was kept; takes the same time for any answer. */
export function isSecret(secret: string, secretSha256: string): boolean {
  const given = Buffer.from(sha256(secret), 'hex')
  const kept = Buffer.from(secretSha256, 'hex')
  return given.length === kept.length && timingSafeEqual(given, kept)
}

/** What a client token permits. It is not stored: its signature and its end are all there is. */
export type ClientClaims = {
  readonly orgId: string
  /** The jobs of this user, when set. */
  readonly userId: string | null
  /** These channels, when set. */
  readonly channels: readonly string[] | null
  readonly scopes: readonly Scope[]
  /** ms since the epoch. */
  readonly expiresAt: number
}

/** Longest token of any kind: a client's that names 100 channels has some 7,000 characters. */
export const tokenLengthMax = 8_000
const clientTokenPattern = /^weir_client_([\w-]+)\.([\w-]{43})$/

export function signClientToken(claims: ClientClaims, secretKey: Uint8Array): string {
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return `weir_client_${payload}.${clientSignature(payload, secretKey)}`
}

/** The claims of a token that we signed, also when it has expired; null for any other text. */
export function readClientToken(text: string, secretKey: Uint8Array): ClientClaims | null {
  const match = text.length > tokenLengthMax ? null : clientTokenPattern.exec(text)
  const [, payload = '', signature = ''] = match ?? []
  const expected = Buffer.from(clientSignature(payload, secretKey))
  const given = Buffer.from(signature)
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
  return isClaims(claims) ? claims : null
}

/** The secret that signs the webhooks of an org's jobs: derived, so that it is stored nowhere. */
export function webhookSecretOf(orgId: string, secretKey: Uint8Array): string {
  const secret = createHmac('sha256', secretKey).update(`webhook-secret:${orgId}`).digest('base64')
  return `whsec_${secret}`
}

/** One of the secrets that sign the webhooks of a registered endpoint: derived in the same way. */
export function endpointSecretOf(
  endpointId: string,
  secretVersion: number,
  secretKey: Uint8Array,
): string {
  const label = `endpoint-secret:${endpointId}:${secretVersion}`
  return `whsec_${createHmac('sha256', secretKey).update(label).digest('base64')}`
}

/** Bytes that follow from the secret key and a label: the same at each start. */
export function derivedBytes(secretKey: Uint8Array, label: string) {
  let block = 0
  return (count: number): Uint8Array => {
    block += 1
    const mac = createHmac('sha512', secretKey).update(`${label}:${block}`).digest()
    return mac.subarray(0, count)
  }
}

export function toBase62(bytes: Uint8Array): string {
  let value = BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`)
  let text = ''
  while (value > 0n) {
    text = (alphabet[Number(value % 62n)] ?? '') + text
    value /= 62n
  }
  return text.padStart(Math.ceil((bytes.length * 8) / Math.log2(62)), '0')
}

function fromBase62(text: string, length: number): Uint8Array | null {
  let value = 0n
  for (const letter of text) value = value * 62n + BigInt(alphabet.indexOf(letter))
  const hex = value.toString(16).padStart(length * 2, '0')
  return hex.length === length * 2 ? Buffer.from(hex, 'hex') : null
}

const tokenPattern =
  /^weir_(live|admin|session)_([\dA-Za-z]{1,60})_([\dA-Za-z]{20,60})_([\dA-Za-z]{6})$/

type Kind = 'live' | 'admin' | 'session'

function assemble(kind: Kind, id: string, secret: string): string {
  return `weir_${kind}_${id}_${secret}_${checksum(kind, id, secret)}`
}

function parse(kind: Kind, text: string): { id: string; secret: string } | null {
  const match = tokenPattern.exec(text)
  const [, found, id = '', secret = '', given = ''] = match ?? []
  if (found !== kind || given !== checksum(kind, id, secret)) return null
  return { id, secret }
}

/** Not a secret: it tells a typing error from a revoked key without a look at the database. */
function checksum(kind: string, id: string, secret: string): string {
  const digest = createHash('sha256').update(`weir:${kind}:${id}:${secret}`).digest()
  return toBase62(digest.subarray(0, 8)).slice(-checksumLength)
}

function clientSignature(payload: string, secretKey: Uint8Array): string {
  return createHmac('sha256', secretKey).update(`client-token:${payload}`).digest('base64url')
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function isClaims(value: unknown): value is ClientClaims {
  return typeof value === 'object' && value !== null && 'orgId' in value && 'expiresAt' in value
}
