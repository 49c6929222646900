import { createHash } from 'node:crypto'
import { CopyObjectCommand, GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { isMissing, isReplaced, sentenceOf } from './errors.ts'
import { hashMetadata } from './upload.ts'

/** An object that a customer put there with a signed URL. */
export type Uploaded = {
  readonly name: string
  readonly contentType: string
  readonly etag: string
}

/** Its hash, and the tag that it has since. */
export type HashedUpload = { readonly sha256: string; readonly etag: string }

/**
 * Hashes of what customers put into the bucket: S3 keeps none that we asked for, so the first who
 * looks reads the bytes once and adds the hash. An upload is never written again, so nothing can
 * get lost by copying it onto itself, which is how S3 changes what it knows of an object.
 */
export class UploadedHashes {
  readonly #s3: S3Client
  readonly #bucket: string
  readonly #reading = new Map<string, Promise<HashedUpload | null>>()

  constructor(s3: S3Client, bucket: string) {
    this.#s3 = s3
    this.#bucket = bucket
  }

  /** Null when the object with that tag is gone. @throws ObjectStoreUnavailable, S3Refusal */
  find(uploaded: Uploaded): Promise<HashedUpload | null> {
    const which = `${uploaded.name} ${uploaded.etag}`
    const reading = this.#reading.get(which)
    if (reading) return reading
    const begun = this.#hash(uploaded).finally(() => this.#reading.delete(which))
    this.#reading.set(which, begun)
    return begun
  }

  async #hash(uploaded: Uploaded): Promise<HashedUpload | null> {
    const sha256 = await this.#read(uploaded)
    return sha256 === null ? null : this.#record(uploaded, sha256)
  }

  async #read({ name, etag }: Uploaded): Promise<string | null> {
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: name, IfMatch: etag })
    try {
      const { Body } = await this.#s3.send(command)
      const hash = createHash('sha256')
      for await (const chunk of Body as unknown as AsyncIterable<Uint8Array>) hash.update(chunk)
      return hash.digest('hex')
    } catch (error) {
      if (isMissing(error) || isReplaced(error)) return null
      throw sentenceOf(`read ${name}`, error)
    }
  }

  async #record(uploaded: Uploaded, sha256: string): Promise<HashedUpload> {
    const command = new CopyObjectCommand({
      Bucket: this.#bucket,
      Key: uploaded.name,
      CopySource: `${this.#bucket}/${uploaded.name}`,
      CopySourceIfMatch: uploaded.etag,
      MetadataDirective: 'REPLACE',
      ContentType: uploaded.contentType,
      Metadata: { [hashMetadata]: sha256 },
    })
    // Where it cannot be added the hash is right all the same; the next one reads again.
    const copied = await this.#s3.send(command).catch(() => null)
    return { sha256, etag: copied?.CopyObjectResult?.ETag ?? uploaded.etag }
  }
}
