import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { Clock } from '../../domain/ports/clock.ts'
import {
  ObjectMissing,
  ObjectStore,
  ObjectTooLarge,
  type PutOptions,
  type SignedUrl,
  type StoredObject,
  type UploadGrant,
} from '../../domain/ports/object-store.ts'
import { contentDisposition } from '../../domain/content-disposition.ts'
import { openClient, type S3Options } from './client.ts'
import { isMissing, isReplaced, orSentence, orSentences, sentenceOf } from './errors.ts'
import { InOrder } from './in-order.ts'
import { objectName } from './object-name.ts'
import { abortStaleUploads } from './stale-uploads.ts'
import { takeIn } from './taken-in.ts'
import { hashMetadata, Uploader } from './upload.ts'
import { UploadedHashes } from './uploaded-hashes.ts'

const sweepAgeMsDefault = 24 * 3_600_000
const sha256Pattern = /^[0-9a-f]{64}$/

export type S3ObjectStoreOptions = S3Options & {
  readonly clock: Clock
  /** Where long streams wait until they are sent; by default the system's temporary folder. */
  readonly folder?: string
}

/** What a HEAD tells; the tag names exactly these bytes. */
type Found = { readonly object: StoredObject; readonly etag: string }

/** The object was damaged on its way, or after it was written. */
class ObjectDamaged extends Error {
  override readonly name = 'ObjectDamaged'
}

/** Objects in a bucket of S3, or of a server that speaks its protocol. */
export class S3ObjectStore extends ObjectStore {
  readonly #bucket: string
  readonly #clock: Clock
  readonly #folder: string
  readonly #s3: S3Client
  /** Only signs; a host of its own may stand in signed URLs. */
  readonly #signer: S3Client
  readonly #puts = new InOrder()
  readonly #uploader: Uploader
  readonly #uploadedHashes: UploadedHashes

  constructor(options: S3ObjectStoreOptions) {
    super()
    this.#bucket = options.bucket
    this.#clock = options.clock
    this.#folder = options.folder ?? tmpdir()
    this.#s3 = openClient(options)
    const endpoint = options.publicEndpoint
    this.#signer = endpoint === undefined ? this.#s3 : openClient({ ...options, endpoint })
    this.#uploader = new Uploader(this.#s3, this.#bucket)
    this.#uploadedHashes = new UploadedHashes(this.#s3, this.#bucket)
  }

  override async put(
    key: string,
    body: AsyncIterable<Uint8Array> | Uint8Array,
    { contentType, bytesMax }: PutOptions,
  ): Promise<StoredObject> {
    const name = objectName(key)
    const tooLarge = () => new ObjectTooLarge(`${key} has more than ${bytesMax} bytes`)
    // S3 takes what comes at the same time in any order; the later of two puts has to win.
    return this.#puts.run(name, async (turn) => {
      const source = await takeIn(body, { bytesMax, folder: this.#folder, tooLarge })
      try {
        await turn
        const object = { key, contentType, bytes: source.bytes, sha256: source.sha256 }
        await this.#uploader.send({ name, object, source })
        return object
      } finally {
        await source.close()
      }
    })
  }

  override async get(
    key: string,
  ): Promise<{ object: StoredObject; body: AsyncIterable<Uint8Array> }> {
    const found = await this.#find(key)
    if (found === null) throw new ObjectMissing(`no object ${key}`)
    return { object: found.object, body: this.#read(found) }
  }

  override async head(key: string): Promise<StoredObject | null> {
    const found = await this.#find(key)
    return found?.object ?? null
  }

  override async delete(key: string): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.#bucket, Key: objectName(key) })
    await orSentence(`delete ${key}`, this.#s3.send(command))
  }

  override async signGet(
    key: string,
    expiresAt: number,
    downloadName?: string,
  ): Promise<SignedUrl> {
    const command = new GetObjectCommand({
      Bucket: this.#bucket,
      Key: objectName(key),
      ResponseContentDisposition: contentDisposition(downloadName ?? null),
    })
    const signing = getSignedUrl(this.#signer, command, this.#validUntil(expiresAt))
    const url = await orSentence(`sign ${key}`, signing)
    return { url, method: 'GET', headers: {} }
  }

  override async signPut(grant: UploadGrant): Promise<SignedUrl> {
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: objectName(grant.key),
      ContentType: grant.contentType,
      ContentLength: grant.bytes,
      IfNoneMatch: '*',
    })
    // Whatever of these the client sends otherwise than it was granted, the signature is wrong.
    const signed = ['host', 'content-type', 'content-length', 'if-none-match']
    const signing = getSignedUrl(this.#signer, command, {
      ...this.#validUntil(grant.expiresAt),
      signableHeaders: new Set(signed),
    })
    const url = await orSentence(`sign ${grant.key}`, signing)
    // The length is not among them: every client sends it by itself, and browsers insist on that.
    const headers = { 'content-type': grant.contentType, 'if-none-match': '*' }
    return { url, method: 'PUT', headers }
  }

  /**
   * Aborts what killed processes began to send in parts `ageMs` ago or earlier: it is invisible,
   * but costs space. Returns how many.
   */
  sweep(ageMs: number = sweepAgeMsDefault): Promise<number> {
    return abortStaleUploads(this.#s3, this.#bucket, this.#clock.now() - ageMs)
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    this.#s3.destroy()
    this.#signer.destroy()
  }

  async #find(key: string): Promise<Found | null> {
    const name = objectName(key)
    const command = new HeadObjectCommand({ Bucket: this.#bucket, Key: name })
    const head = await this.#s3.send(command).catch((error: unknown) => {
      if (isMissing(error)) return null
      throw sentenceOf(`head ${key}`, error)
    })
    if (head === null) return null
    const { ContentType: contentType = '', ContentLength: bytes = 0, ETag: etag = '' } = head
    const recorded = head.Metadata?.[hashMetadata] ?? ''
    if (sha256Pattern.test(recorded)) {
      return { object: { key, contentType, bytes, sha256: recorded }, etag }
    }
    const uploaded = await this.#uploadedHashes.find({ name, contentType, etag })
    if (uploaded === null) return null
    return { object: { key, contentType, bytes, sha256: uploaded.sha256 }, etag: uploaded.etag }
  }

  /** Asks for the bytes when the first one is wanted: a body nobody reads holds nothing open. */
  async *#read({ object, etag }: Found): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256')
    const body = await this.#bodyOf(object, etag)
    for await (const chunk of orSentences(`get ${object.key}`, body)) {
      hash.update(chunk)
      yield chunk
    }
    if (hash.digest('hex') === object.sha256) return
    throw new ObjectDamaged(`the bytes of ${object.key} do not have its hash`)
  }

  async #bodyOf(object: StoredObject, etag: string): Promise<AsyncIterable<Uint8Array>> {
    const command = new GetObjectCommand({
      Bucket: this.#bucket,
      Key: objectName(object.key),
      IfMatch: etag,
    })
    try {
      const { Body } = await this.#s3.send(command)
      return Body as unknown as AsyncIterable<Uint8Array>
    } catch (error) {
      const isGone = isMissing(error) || isReplaced(error)
      if (!isGone) throw sentenceOf(`get ${object.key}`, error)
      throw new ObjectMissing(`${object.key} was replaced before it was read`)
    }
  }

  /** S3 counts in seconds; cut off, so that no URL lives longer than it may. */
  #validUntil(expiresAt: number): { signingDate: Date; expiresIn: number } {
    const leftMs = Math.max(1, expiresAt - this.#clock.now())
    const expiresIn = Math.ceil(leftMs / 1000)
    return { signingDate: new Date(expiresAt - expiresIn * 1000), expiresIn }
  }
}
