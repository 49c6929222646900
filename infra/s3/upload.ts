import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
  type CompletedPart,
  type S3Client,
} from '@aws-sdk/client-s3'
import type { StoredObject } from '../../domain/ports/object-store.ts'
import { isUploadOver, orSentence, sentenceOf } from './errors.ts'
import { Gate } from './gate.ts'
import { memoryBytesMax, type TakenIn } from './taken-in.ts'

/** Larger objects go in parts of this size; S3 takes at least 5 MiB and at most 10,000 parts. */
export const partBytes = 8 * 1024 * 1024
const partsAtOnceMax = 4
/** Of one process: what waits here holds a part in memory each. */
const largeAtOnceMax = 8

/** The name of the metadata that holds the hash, as `x-amz-meta-sha256`. */
export const hashMetadata = 'sha256'

/** One object on its way. */
export type Upload = {
  readonly name: string
  readonly object: StoredObject
  readonly source: TakenIn
}

/** Sends whole objects into one bucket. */
export class Uploader {
  readonly #s3: S3Client
  readonly #bucket: string
  readonly #large = new Gate(largeAtOnceMax)

  constructor(s3: S3Client, bucket: string) {
    this.#s3 = s3
    this.#bucket = bucket
  }

  /**
   * The object is there when this resolves. S3 checks every byte against its hash.
   *
   * @throws ObjectStoreUnavailable when it may or may not be there; S3Refusal
   */
  async send(upload: Upload): Promise<void> {
    const { bytes } = upload.object
    if (bytes > partBytes) return this.#inParts(upload)
    if (bytes > memoryBytesMax) return this.#large.run(() => this.#atOnce(upload))
    return this.#atOnce(upload)
  }

  async #atOnce(upload: Upload): Promise<void> {
    const { object, source } = upload
    const command = new PutObjectCommand({
      ...this.#described(upload),
      Body: await source.part(0, object.bytes),
      ChecksumSHA256: Buffer.from(object.sha256, 'hex').toString('base64'),
    })
    await orSentence(`put ${object.key}`, this.#s3.send(command))
  }

  async #inParts(upload: Upload): Promise<void> {
    const { object } = upload
    const create = new CreateMultipartUploadCommand({
      ...this.#described(upload),
      ChecksumAlgorithm: 'SHA256',
    })
    const { UploadId } = await orSentence(`begin ${object.key}`, this.#s3.send(create))
    const place = { Bucket: this.#bucket, Key: upload.name, UploadId }
    try {
      const parts = await this.#parts(upload, place)
      const complete = { ...place, MultipartUpload: { Parts: parts } }
      await this.#s3.send(new CompleteMultipartUploadCommand(complete))
    } catch (error) {
      // An answer that was lost is asked for again, and then the upload is over already.
      if (isUploadOver(error) && (await this.#isThere(upload))) return
      // What cannot be aborted now is found by the next sweep.
      await this.#s3.send(new AbortMultipartUploadCommand(place)).catch(() => undefined)
      throw sentenceOf(`put ${object.key}`, error)
    }
  }

  /** All parts, several at a time. After a failure no new one begins, and those on the way end. */
  async #parts(upload: Upload, place: Place): Promise<CompletedPart[]> {
    const count = Math.ceil(upload.object.bytes / partBytes)
    const done: CompletedPart[] = []
    let next = 0
    let hasFailed = false
    const sendSome = async (): Promise<void> => {
      while (next < count && !hasFailed) {
        const at = next++
        try {
          done[at] = await this.#large.run(() => this.#part(upload, place, at))
        } catch (error) {
          hasFailed = true
          throw error
        }
      }
    }
    const senders = Array.from({ length: Math.min(partsAtOnceMax, count) }, sendSome)
    for (const sender of await Promise.allSettled(senders)) {
      if (sender.status === 'rejected') throw sender.reason
    }
    return done
  }

  async #part({ object, source }: Upload, place: Place, at: number): Promise<CompletedPart> {
    const start = at * partBytes
    const Body = await source.part(start, Math.min(start + partBytes, object.bytes))
    const ChecksumSHA256 = createHash('sha256').update(Body).digest('base64')
    const part = { ...place, PartNumber: at + 1, Body, ChecksumSHA256 }
    const { ETag } = await this.#s3.send(new UploadPartCommand(part))
    return { PartNumber: at + 1, ETag, ChecksumSHA256 }
  }

  async #isThere({ name, object }: Upload): Promise<boolean> {
    const command = new HeadObjectCommand({ Bucket: this.#bucket, Key: name })
    const head = await this.#s3.send(command).catch(() => null)
    return head?.Metadata?.[hashMetadata] === object.sha256 && head.ContentLength === object.bytes
  }

  #described({ name, object }: Upload) {
    return {
      Bucket: this.#bucket,
      Key: name,
      ContentType: object.contentType,
      Metadata: { [hashMetadata]: object.sha256 },
    }
  }
}

type Place = {
  readonly Bucket: string
  readonly Key: string
  readonly UploadId: string | undefined
}
