import { createHmac, timingSafeEqual } from 'node:crypto'
import { assert } from '../../domain/assert.ts'
import type { ObjectPermit, PermitCheck } from '../../domain/upload/object-permit.ts'
import { isObjectKey } from '../object-key.ts'

const secretBytesMin = 32

/** Where signed URLs point, and the secret that makes them. */
export type UrlSigning = {
  /** Without a slash at its end, e.g. `http://127.0.0.1:3000`. */
  readonly baseUrl: string
  readonly secretKey: Uint8Array
}

/** A request for an object: the key is the decoded path behind `/v1/objects/`. */
export type ObjectRequest = {
  readonly method: string
  readonly key: string
  readonly query: Readonly<Record<string, unknown>>
}

/** The URL that carries the permit: `<baseUrl>/v1/objects/<key>?expires=…&signature=…`. */
export function signObjectUrl(signing: UrlSigning, permit: ObjectPermit): string {
  const query = new URLSearchParams({ expires: String(permit.expiresAt) })
  if (permit.method === 'PUT') {
    query.set('type', permit.contentType)
    query.set('bytes', String(permit.bytes))
  } else if (permit.downloadName !== null) {
    query.set('name', permit.downloadName)
  }
  query.set('signature', signatureOf(signing.secretKey, permit).toString('base64url'))
  return `${signing.baseUrl}/v1/objects/${permit.key}?${query.toString()}`
}

/**
 * Checks signature first and expiry second, so that only holders of a real URL learn that it has
 * expired. HEAD is permitted by a GET permit.
 */
export function verifyObjectUrl(
  secretKey: Uint8Array,
  request: ObjectRequest,
  now: number,
): PermitCheck {
  const permit = permitOf(request)
  const { signature } = request.query
  if (permit === null || typeof signature !== 'string') {
    return { ok: false, reason: 'The URL is not one that weir has signed.' }
  }
  const given = Buffer.from(signature, 'base64url')
  const expected = signatureOf(secretKey, permit)
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return { ok: false, reason: 'The signature of the URL does not match.' }
  }
  if (now >= permit.expiresAt) return { ok: false, reason: 'The URL has expired.' }
  return { ok: true, permit }
}

function permitOf({ method, key, query }: ObjectRequest): ObjectPermit | null {
  const expiresAt = wholeNumber(query.expires)
  if (!isObjectKey(key) || expiresAt === null) return null
  if (method === 'PUT') {
    const bytes = wholeNumber(query.bytes)
    if (bytes === null || typeof query.type !== 'string') return null
    return { method, key, expiresAt, contentType: query.type, bytes }
  }
  if (method !== 'GET' && method !== 'HEAD') return null
  const name = query.name ?? null
  if (name !== null && typeof name !== 'string') return null
  return { method: 'GET', key, expiresAt, downloadName: name }
}

function wholeNumber(value: unknown): number | null {
  if (typeof value !== 'string' || !/^(0|[1-9]\d{0,15})$/.test(value)) return null
  return Number(value)
}

function signatureOf(secretKey: Uint8Array, permit: ObjectPermit): Buffer {
  assert(secretKey.byteLength >= secretBytesMin, 'the URL secret has at least 32 bytes')
  // A JSON list keeps the members apart whatever stands in them.
  const parts = permit.method === 'PUT' ? [permit.contentType, permit.bytes] : [permit.downloadName]
  const text = JSON.stringify(['v1', permit.method, permit.key, permit.expiresAt, ...parts])
  return createHmac('sha256', secretKey).update(text).digest()
}
