import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type MultipartUpload,
  type S3Client,
} from '@aws-sdk/client-s3'
import { isUploadOver, orSentence, sentenceOf } from './errors.ts'
import { isObjectName } from './object-name.ts'

/** The rest waits for the next sweep. */
const pagesMax = 10

/**
 * Aborts the multipart uploads of weir in the bucket that began before `begunBefore` (ms);
 * returns how many.
 *
 * @throws ObjectStoreUnavailable, S3Refusal
 */
export async function abortStaleUploads(
  s3: S3Client,
  bucket: string,
  begunBefore: number,
): Promise<number> {
  let aborted = 0
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
  for (let pages = 0; pages < pagesMax; pages += 1) {
    const list = new ListMultipartUploadsCommand({ Bucket: bucket, ...marker })
    const page = await orSentence('list multipart uploads', s3.send(list))
    for (const upload of page.Uploads ?? []) {
      if (!isStale(upload, begunBefore)) continue
      await abort(s3, bucket, upload)
      aborted += 1
    }
    if (page.IsTruncated !== true) break
    marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
  }
  return aborted
}

function isStale({ Key, Initiated }: MultipartUpload, begunBefore: number): boolean {
  if (Key === undefined || Initiated === undefined) return false
  return isObjectName(Key) && Initiated.getTime() < begunBefore
}

async function abort(s3: S3Client, bucket: string, upload: MultipartUpload): Promise<void> {
  const { Key, UploadId } = upload
  try {
    await s3.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }))
  } catch (error) {
    if (!isUploadOver(error)) throw sentenceOf(`abort ${Key ?? ''}`, error)
  }
}
