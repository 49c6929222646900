import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import {
  ObjectMissing,
  ObjectTooLarge,
  type ObjectStore,
  type StoredObject,
} from '../../domain/ports/object-store.ts'

const bytesMax = 10_000_000
const text = { contentType: 'text/plain', bytesMax }
const minuteMs = 60_000

let keyCount = 0

/** A key that no other test uses. */
export function newKey(): string {
  keyCount += 1
  return `test/${process.pid}-${keyCount}/1/result.json`
}

export async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export async function* inChunks(bytes: Uint8Array, chunkBytes: number) {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
    yield bytes.subarray(at, at + chunkBytes)
  }
}

async function read(store: ObjectStore, key: string) {
  const { object, body } = await store.get(key)
  return { object, bytes: await bytesOf(body) }
}

/**
 * What every object store promises.
 *
 * @param given a store whose signed URLs are served; `now` is the time those URLs are judged by
 */
export function objectStoreContract(given: () => { store: ObjectStore; now: () => number }): void {
  putsAndGets(given)
  wholeOrNotAtAll(given)
  keys(given)
  signedGets(given)
  signedPuts(given)
}

function putsAndGets(given: () => { store: ObjectStore }): void {
  describe('puts and gets', () => {
    const sizes = [0, 1, 300, 65_536, 65_537, 3_000_001]
    test.each(sizes)('%i bytes come back as they were put, with type and hash', async (size) => {
      const { store } = given()
      const bytes = randomBytes(size)
      for (const body of [bytes, inChunks(bytes, 10_000)]) {
        const key = newKey()
        const expected: StoredObject = {
          key,
          contentType: 'text/plain',
          bytes: size,
          sha256: sha256(bytes),
        }
        expect(await store.put(key, body, text)).toEqual(expected)
        expect(await store.head(key)).toEqual(expected)
        const got = await read(store, key)
        expect(got.object).toEqual(expected)
        expect(got.bytes.equals(bytes)).toBe(true)
      }
    })

    test('many small objects put at once are each their own', async () => {
      const { store } = given()
      const keys = Array.from({ length: 600 }, newKey)
      await Promise.all(keys.map((key) => store.put(key, Buffer.from(key), text)))
      const found = await Promise.all(keys.map((key) => read(store, key)))
      expect(found.map(({ bytes }) => bytes.toString())).toEqual(keys)
      expect(found.map(({ object }) => object.key)).toEqual(keys)
    })

    test('the later of two puts to one key wins', async () => {
      const { store } = given()
      const key = newKey()
      const large = randomBytes(100_000)
      await store.put(key, Buffer.from('old'), text)
      await Promise.all([
        store.put(key, Buffer.from('first'), text),
        store.put(key, Buffer.from('second'), { ...text, contentType: 'text/new' }),
      ])
      expect(await read(store, key)).toMatchObject({
        object: { contentType: 'text/new' },
        bytes: Buffer.from('second'),
      })
      await store.put(key, inChunks(large, 1000), text)
      expect((await read(store, key)).bytes.equals(large)).toBe(true)
    })

    test('what is not there is missing', async () => {
      const { store } = given()
      const key = newKey()
      expect(await store.head(key)).toBeNull()
      await expect(store.get(key)).rejects.toThrow(ObjectMissing)
    })

    test('a deleted object is missing, the others put with it are not', async () => {
      const { store } = given()
      const [gone, stays] = [newKey(), newKey()]
      await Promise.all([gone, stays].map((key) => store.put(key, Buffer.from(key), text)))
      await store.delete(gone)
      await store.delete(gone)
      expect(await store.head(gone)).toBeNull()
      expect((await read(store, stays)).bytes.toString()).toBe(stays)
    })
  })
}

function wholeOrNotAtAll(given: () => { store: ObjectStore }): void {
  describe('whole or not at all', () => {
    test('nothing is seen until the last byte is there', async () => {
      const { store } = given()
      const key = newKey()
      let release = () => {}
      const released = new Promise<void>((resolve) => (release = resolve))
      let started = () => {}
      const isStarted = new Promise<void>((resolve) => (started = resolve))
      async function* slow() {
        yield Buffer.alloc(100_000, 'a')
        started()
        await released
        yield Buffer.alloc(100_000, 'b')
      }
      const put = store.put(key, slow(), text)
      await isStarted
      expect(await store.head(key)).toBeNull()
      release()
      expect(await store.head((await put).key)).toMatchObject({ bytes: 200_000 })
    })

    test('a source that fails leaves nothing, or what was there before', async () => {
      const { store } = given()
      const [empty, kept] = [newKey(), newKey()]
      await store.put(kept, Buffer.from('before'), text)
      async function* failing() {
        yield Buffer.alloc(100_000)
        throw new Error('the source broke')
      }
      for (const key of [empty, kept]) {
        await expect(store.put(key, failing(), text)).rejects.toThrow('the source broke')
      }
      expect(await store.head(empty)).toBeNull()
      expect((await read(store, kept)).bytes.toString()).toBe('before')
    })

    test.each([10, 1_000_000])('more than %i bytes are refused and not stored', async (limit) => {
      const { store } = given()
      const bytes = randomBytes(limit + 1)
      for (const body of [bytes, inChunks(bytes, 4096)]) {
        const key = newKey()
        const put = store.put(key, body, { contentType: 'text/plain', bytesMax: limit })
        await expect(put).rejects.toThrow(ObjectTooLarge)
        expect(await store.head(key)).toBeNull()
      }
      const whole = await store.put(newKey(), bytes.subarray(1), { ...text, bytesMax: limit })
      expect(whole.bytes).toBe(limit)
    })

    test('a reader that has begun reads the old object to its end', async () => {
      const { store } = given()
      const key = newKey()
      const old = randomBytes(500_000)
      await store.put(key, old, text)
      const { body } = await store.get(key)
      const reader = body[Symbol.asyncIterator]()
      const first = await reader.next()
      await store.put(key, randomBytes(400_000), text)
      const chunks: Uint8Array[] = [first.value]
      for (let next = await reader.next(); next.done !== true; next = await reader.next()) {
        chunks.push(next.value)
      }
      expect(Buffer.concat(chunks).equals(old)).toBe(true)
    })
  })
}

function keys(given: () => { store: ObjectStore }): void {
  describe('keys', () => {
    const bad = [
      ['', '/a', 'a/', 'a//b', '.', '..', 'a/../b', 'a/./b', '.hidden', 'a/.hidden'],
      ['a\0b', 'a\\b', 'C:\\x', 'a b', 'ä', 'a?b', 'a%2e', '-rf', 'x'.repeat(513)],
    ].flat()
    test.each(bad)('refuses the key %j', async (key) => {
      const { store } = given()
      await expect(store.put(key, Buffer.from('x'), text)).rejects.toThrow('not an object key')
      await expect(store.get(key)).rejects.toThrow('not an object key')
      await expect(store.head(key)).rejects.toThrow('not an object key')
      await expect(store.delete(key)).rejects.toThrow('not an object key')
      await expect(store.signGet(key, 0)).rejects.toThrow('not an object key')
    })

    test('takes keys of 512 characters, and keys that begin like others', async () => {
      const { store } = given()
      const long = `${newKey()}/`.padEnd(512, 'x')
      const names = [long, `${long.slice(0, 300)}/y`, long.slice(0, 200)]
      for (const key of names) await store.put(key, Buffer.from(key), text)
      for (const key of names) expect((await read(store, key)).bytes.toString()).toBe(key)
    })
  })
}

type Served = () => { store: ObjectStore; now: () => number }

function signedGets(given: Served): void {
  describe('signed downloads', () => {
    test('need no header and carry type, length and download name', async () => {
      const { store, now } = given()
      const key = newKey()
      const bytes = randomBytes(200_000)
      await store.put(key, bytes, { contentType: 'image/png', bytesMax })
      const { url, method } = await store.signGet(key, now() + minuteMs, 'my “picture”.png')
      const answer = await fetch(url, { method })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toBe('image/png')
      expect(answer.headers.get('content-length')).toBe('200000')
      expect(answer.headers.get('content-disposition')).toMatch(/^attachment;.*picture/)
      expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
    })

    test('end when they expire, and are for one object', async () => {
      const { store, now } = given()
      const [key, other] = [newKey(), newKey()]
      for (const each of [key, other]) await store.put(each, Buffer.from(each), text)
      const expired = await store.signGet(key, now() - 1)
      expect((await fetch(expired.url)).status).toBe(403)
      const { url } = await store.signGet(key, now() + minuteMs)
      const foreign = new URL(url)
      foreign.pathname = new URL((await store.signGet(other, now() + minuteMs)).url).pathname
      expect((await fetch(foreign)).status).toBe(403)
      expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403)
      expect(await (await fetch(url)).text()).toBe(key)
    })
  })
}

function signedPuts(given: Served): void {
  describe('signed uploads', () => {
    test('store what was sent', async () => {
      const { store, now } = given()
      const bytes = randomBytes(150_000)
      const expiresAt = now() + minuteMs
      const grant = { key: newKey(), contentType: 'image/png', bytes: bytes.length, expiresAt }
      const { url, method, headers } = await store.signPut(grant)
      const answer = await fetch(url, { method, headers, body: bytes })
      expect([answer.ok, await answer.text()]).toEqual([true, expect.any(String)])
      const got = await read(store, grant.key)
      expect(got.object).toMatchObject({ contentType: 'image/png', sha256: sha256(bytes) })
      expect(got.bytes.equals(bytes)).toBe(true)
    })

    test('take exactly the length and type that were granted, until they expire', async () => {
      const { store, now } = given()
      const key = newKey()
      const grant = { key, contentType: 'image/png', bytes: 10, expiresAt: now() + minuteMs }
      const { url, headers } = await store.signPut(grant)
      const put = (address: string, type: string, body: string) =>
        fetch(address, { method: 'PUT', headers: { ...headers, 'content-type': type }, body })
      expect((await put(url, 'image/png', 'x'.repeat(11))).ok).toBe(false)
      expect((await put(url, 'image/png', 'x'.repeat(9))).ok).toBe(false)
      expect((await put(url, 'text/html', 'x'.repeat(10))).ok).toBe(false)
      const late = await store.signPut({ ...grant, expiresAt: now() - 1 })
      expect((await put(late.url, 'image/png', 'x'.repeat(10))).status).toBe(403)
      expect(await store.head(key)).toBeNull()
      expect((await put(url, 'image/png', 'x'.repeat(10))).ok).toBe(true)
    })
  })
}
