import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { ObjectStoreUnavailable } from '../../domain/ports/object-store.ts'
import { prepareBucket } from '../../infra/s3/bucket.ts'
import { openClient, type S3Options } from '../../infra/s3/client.ts'
import { S3ObjectStore } from '../../infra/s3/object-store.ts'
import { partBytes } from '../../infra/s3/upload.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { bytesOf, inChunks, newKey, sha256 } from '../contracts/object-store.contract.ts'
import { newBucket } from '../support/bucket.ts'
import { describeS3, s3 } from '../support/describe-s3.ts'
import type { S3Server } from '../support/s3-access.ts'
import { ownS3Server } from '../support/s3-server.ts'
import { startS3Proxy, type Fate, type S3Proxy } from '../support/s3-proxy.ts'

const clock = new SystemClock()
const put = { contentType: 'text/plain', bytesMax: 100_000_000 }
const minuteMs = 60_000
const opened: S3ObjectStore[] = []

function open(options: S3Options): S3ObjectStore {
  const store = new S3ObjectStore({ ...options, clock })
  opened.push(store)
  return store
}

async function uploadsIn(client: S3Client, bucket: string): Promise<number> {
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
  return Uploads?.length ?? 0
}

afterAll(() => Promise.all(opened.map((store) => store.close())))

describeS3('S3 behind a bad network', () => {
  let bucket: S3Options
  let client: S3Client
  let proxy: S3Proxy
  let store: S3ObjectStore

  beforeAll(async () => {
    bucket = await newBucket(s3)
    client = openClient(bucket)
  })

  beforeEach(async () => {
    proxy = await startS3Proxy(bucket.endpoint ?? '')
    store = open({ ...bucket, endpoint: proxy.endpoint })
  })

  afterEach(async () => {
    await store.close()
    await proxy.close()
  })

  afterAll(() => client.destroy())

  const partOf = (key: string, number: number) => (asked: string) =>
    asked.startsWith('PUT') &&
    asked.includes(key.slice(0, 12)) &&
    asked.includes(`Number=${number}`)

  test('a large object goes in parts, and has its hash as a whole', async () => {
    const [key, bytes] = [newKey(), randomBytes(2 * partBytes + 1)]
    const object = await store.put(key, inChunks(bytes, 100_000), put)
    expect(object).toEqual({
      key,
      contentType: 'text/plain',
      bytes: bytes.length,
      sha256: sha256(bytes),
    })
    expect(proxy.seen.filter((asked) => asked.includes('partNumber='))).toHaveLength(3)
    expect(await store.head(key)).toEqual(object)
    expect((await bytesOf((await store.get(key)).body)).equals(bytes)).toBe(true)
    expect(await uploadsIn(client, bucket.bucket)).toBe(0)
  })

  test('nothing is asked of S3 before the source has come to its end', async () => {
    async function* failing() {
      yield randomBytes(2 * partBytes)
      throw new Error('the source broke')
    }
    await expect(store.put(newKey(), failing(), put)).rejects.toThrow('the source broke')
    expect(proxy.seen).toEqual([])
  })

  test('a part that cannot be sent ends the whole, and nothing of it stays', async () => {
    const key = newKey()
    await store.put(key, Buffer.from('before'), put)
    const isSecond = partOf(key, 2)
    proxy.fateOf = (asked) => (isSecond(asked) ? 'cut' : 'passed')
    const bytes = randomBytes(3 * partBytes)
    await expect(store.put(key, bytes, put)).rejects.toThrow(ObjectStoreUnavailable)
    expect(await uploadsIn(client, bucket.bucket)).toBe(0)
    expect((await bytesOf((await store.get(key)).body)).toString()).toBe('before')
  })

  test('a part that is cut once is sent again', async () => {
    const [key, bytes] = [newKey(), randomBytes(2 * partBytes)]
    const isSecond = partOf(key, 2)
    let cuts = 0
    proxy.fateOf = (asked) => (isSecond(asked) && cuts++ === 0 ? 'cut' : 'passed')
    await store.put(key, bytes, put)
    expect(cuts).toBe(2)
    expect(await store.head(key)).toMatchObject({ sha256: sha256(bytes) })
  })

  test('an object is put although the answer to its last step was lost', async () => {
    const [key, bytes] = [newKey(), randomBytes(2 * partBytes)]
    let steps = 0
    proxy.fateOf = (asked) => {
      if (!/^POST .*uploadId=/.test(asked)) return 'passed'
      const body = '<Error><Code>NoSuchUpload</Code><Message>It is over.</Message></Error>'
      return steps++ === 0 ? 'lost' : { status: 404, body }
    }
    expect(await store.put(key, bytes, put)).toMatchObject({ sha256: sha256(bytes) })
    expect(steps).toBe(2)
  })

  test('bytes that change on the way are refused, small or in parts', async () => {
    proxy.fateOf = (asked) => (asked.startsWith('PUT') ? 'damaged' : 'passed')
    for (const size of [10, partBytes + 10]) {
      const key = newKey()
      await expect(store.put(key, randomBytes(size), put)).rejects.toThrow(/put .* \(400/)
      expect(await store.head(key)).toBeNull()
    }
    expect(await uploadsIn(client, bucket.bucket)).toBe(0)
  })

  test('bytes that do not have the recorded hash are not given out as whole', async () => {
    const key = newKey()
    await client.send(
      new PutObjectCommand({
        Bucket: bucket.bucket,
        Key: key.replace(/[^/]+$/, '-/$&'),
        Body: randomBytes(100_000),
        Metadata: { sha256: sha256(Buffer.from('something else')) },
      }),
    )
    await expect(bytesOf((await store.get(key)).body)).rejects.toThrow('do not have its hash')
  })

  test('a body that breaks off is an error, and one nobody reads asks for nothing', async () => {
    const [key, bytes] = [newKey(), randomBytes(100_000)]
    await store.put(key, bytes, put)
    proxy.seen.length = 0
    const { body } = await store.get(key)
    expect(proxy.seen.map((asked) => asked.split(' ')[0])).toEqual(['HEAD'])
    proxy.fateOf = () => 'cut'
    await expect(bytesOf(body)).rejects.toThrow(ObjectStoreUnavailable)
  })

  test('what a customer uploads is hashed by the first who looks, and only by it', async () => {
    const [key, bytes] = [newKey(), randomBytes(150_000)]
    const grant = { key, contentType: 'image/png', bytes: bytes.length }
    const { url, headers } = await store.signPut({ ...grant, expiresAt: clock.now() + minuteMs })
    expect((await fetch(url, { method: 'PUT', headers, body: bytes })).status).toBe(200)
    proxy.seen.length = 0
    const looks = await Promise.all([store.head(key), store.head(key), store.head(key)])
    expect(looks).toEqual(Array(3).fill({ ...grant, sha256: sha256(bytes) }))
    const reads = () => proxy.seen.filter((asked) => asked.startsWith('GET'))
    expect(reads()).toHaveLength(1)
    expect(await store.head(key)).toEqual(looks[0])
    expect(reads()).toHaveLength(1)
  })

  test('an upload URL takes one upload, and no hash of the customer’s own', async () => {
    const key = newKey()
    const grant = { key, contentType: 'image/png', bytes: 5, expiresAt: clock.now() + minuteMs }
    const { url, headers } = await store.signPut(grant)
    const upload = (more: Record<string, string>) =>
      fetch(url, { method: 'PUT', headers: { ...headers, ...more }, body: 'bytes' })
    const forged = await upload({ 'x-amz-meta-sha256': sha256(Buffer.from('other')) })
    expect([forged.ok, await store.head(key)]).toEqual([false, null])
    expect((await upload({})).ok).toBe(true)
    expect((await upload({})).status).toBe(412)
  })

  test('signed URLs name the public endpoint, where they are good', async () => {
    const [key, publicEndpoint] = [newKey(), proxy.endpoint]
    const inside = open({ ...bucket, publicEndpoint })
    await inside.put(key, Buffer.from('text'), put)
    expect(proxy.seen).toEqual([])
    const { url } = await inside.signGet(key, clock.now() + minuteMs)
    expect(url.startsWith(`${publicEndpoint}/`)).toBe(true)
    expect(await (await fetch(url)).text()).toBe('text')
  })

  test('a sweep aborts what was begun long ago and is weir’s', async () => {
    const begin = (Key: string) =>
      client.send(new CreateMultipartUploadCommand({ Bucket: bucket.bucket, Key }))
    await begin('results/1/-/a')
    await begin('of-somebody-else')
    expect(await store.sweep(minuteMs)).toBe(0)
    const soon = open({ ...bucket, endpoint: proxy.endpoint })
    expect(await soon.sweep(-minuteMs)).toBe(1)
    expect(await uploadsIn(client, bucket.bucket)).toBe(1)
  })

  test('refusals and silence are told in a sentence without secrets', async () => {
    const secretAccessKey = 'not-the-secret-of-this-server'
    const accessKeyId = bucket.credentials?.accessKeyId ?? ''
    const outcome = (options: S3Options) =>
      open(options)
        .put('some/key', Buffer.from('x'), put)
        .catch((error: unknown) => error)
    const stranger = await outcome({ ...bucket, credentials: { accessKeyId, secretAccessKey } })
    expect(String(stranger)).toMatch(
      /^S3Refusal: S3 refuses to put some\/key: SignatureDoesNotMatch \(403/,
    )
    const nowhere = await outcome({ ...bucket, bucket: 'no-such-bucket' })
    expect(String(nowhere)).toMatch(/^S3Refusal: S3 refuses to put some\/key: NoSuchBucket \(404/)
    proxy.fateOf = () => new Promise<'cut'>(() => undefined)
    const silent = { ...bucket, endpoint: proxy.endpoint, requestTimeoutMs: 50 }
    const lost = await outcome(silent)
    expect(lost).toBeInstanceOf(ObjectStoreUnavailable)
    const told = [stranger, nowhere, lost].map((error) => JSON.stringify(error) + String(error))
    expect(told.join()).not.toMatch(/not-the-secret|Signature=|AWS4/)
    expect([stranger, nowhere, lost].map((error) => (error as Error).cause)).toEqual([...Array(3)])
  })

  test('the later of two puts wins though the earlier one is slower', async () => {
    const key = newKey()
    let isFirst = true
    proxy.fateOf = async (): Promise<Fate> => {
      if (isFirst) {
        isFirst = false
        await clock.sleep(100)
      }
      return 'passed'
    }
    await Promise.all(['old', 'new'].map((text) => store.put(key, Buffer.from(text), put)))
    expect((await bytesOf((await store.get(key)).body)).toString()).toBe('new')
  })

  test('many requests at once wait for each other, not for a connection', async () => {
    let [running, most] = [0, 0]
    proxy.fateOf = async () => {
      running += 1
      most = Math.max(most, running)
      await clock.sleep(100)
      running -= 1
      return { status: 404, body: '' }
    }
    const heads = await Promise.all(Array.from({ length: 300 }, () => store.head(newKey())))
    expect(heads).toEqual(Array(300).fill(null))
    expect(proxy.seen).toHaveLength(300)
    expect(most).toBeLessThanOrEqual(64)
  })

  test('a bucket is made once, and lets pages of the origins in', async () => {
    const another = { ...bucket, bucket: `weir-test-${randomBytes(6).toString('hex')}` }
    expect(await prepareBucket(another, [])).toBe(true)
    const preflight = async (origin: string) => {
      const { url } = await open(another).signGet('some/key', clock.now() + minuteMs)
      const headers = { origin, 'access-control-request-method': 'PUT' }
      const answer = await fetch(url, { method: 'OPTIONS', headers })
      return answer.headers.get('access-control-allow-origin')
    }
    expect(await prepareBucket(another, ['https://app.example.com'])).toBe(false)
    expect(await preflight('https://app.example.com')).toBe('https://app.example.com')
    expect(await preflight('https://evil.example.com')).toBeNull()
  })
})

describeS3('S3 that is killed', () => {
  let server: S3Server
  let bucket: S3Options
  let proxy: S3Proxy
  let store: S3ObjectStore

  beforeAll(async () => {
    server = await ownS3Server()
    bucket = await newBucket(server.access)
    proxy = await startS3Proxy(server.access.endpoint)
    store = open({ ...bucket, endpoint: proxy.endpoint })
  })

  afterAll(async () => {
    await store.close()
    await proxy.close()
    await server.stop()
  })

  const cases = [
    { what: 'an object', size: 5_000_000, at: /^PUT/ },
    { what: 'the second part of an object', size: 3 * partBytes, at: /partNumber=2/ },
    { what: 'the last step of an object', size: 2 * partBytes, at: /^POST .*uploadId=/ },
  ]
  test.each(cases)('while it takes $what shows nothing of it', async ({ size, at }) => {
    const [key, bytes] = [newKey(), randomBytes(size)]
    proxy.fateOf = (asked) => (at.test(asked) ? { halfway: () => server.kill() } : 'passed')
    await expect(store.put(key, bytes, put)).rejects.toThrow(ObjectStoreUnavailable)
    proxy.fateOf = () => 'passed'
    await server.start()
    expect(await store.head(key)).toBeNull()
    await store.sweep(-minuteMs)
    const client = openClient(bucket)
    expect(await uploadsIn(client, bucket.bucket)).toBe(0)
    client.destroy()
    const object = await store.put(key, bytes, put)
    expect(await store.head(key)).toEqual(object)
  })

  test('what was put before is there after it', async () => {
    const [key, bytes] = [newKey(), randomBytes(partBytes + 1)]
    await store.put(key, bytes, put)
    await server.kill()
    await expect(store.head(key)).rejects.toThrow(ObjectStoreUnavailable)
    await server.start()
    expect((await bytesOf((await store.get(key)).body)).equals(bytes)).toBe(true)
  })
})
