import {
  CreateBucketCommand,
  HeadBucketCommand,
  PutBucketCorsCommand,
  type BucketLocationConstraint,
  type S3Client,
} from '@aws-sdk/client-s3'
import { openClient, type S3Options } from './client.ts'
import { isBucketMissing, isBucketThere, isUnknownOperation, sentenceOf } from './errors.ts'

/** The region whose buckets Amazon makes without being told where. */
const homeRegion = 'us-east-1'
const preflightSeconds = 3_600

/**
 * Makes the bucket if there is none, and lets pages of the origins download from it and upload
 * into it, where the server has rules for that. A bucket that is there is left as it is otherwise.
 *
 * @param corsOrigins none: nothing is said about pages
 * @returns whether the bucket is new
 * @throws ObjectStoreUnavailable, S3Refusal
 */
export async function prepareBucket(
  options: S3Options,
  corsOrigins: readonly string[],
): Promise<boolean> {
  const s3 = openClient(options)
  try {
    const isNew = !(await isThere(s3, options.bucket)) && (await create(s3, options))
    if (corsOrigins.length > 0) await allowOrigins(s3, options.bucket, corsOrigins)
    return isNew
  } finally {
    s3.destroy()
  }
}

async function isThere(s3: S3Client, bucket: string): Promise<boolean> {
  try {
    await s3.send(new HeadBucketCommand({ Bucket: bucket }))
    return true
  } catch (error) {
    if (isBucketMissing(error)) return false
    throw sentenceOf(`look for the bucket ${bucket}`, error)
  }
}

async function create(s3: S3Client, { bucket, region }: S3Options): Promise<boolean> {
  const LocationConstraint = region as BucketLocationConstraint
  const elsewhere = { CreateBucketConfiguration: { LocationConstraint } }
  const where = region === homeRegion ? {} : elsewhere
  try {
    await s3.send(new CreateBucketCommand({ Bucket: bucket, ...where }))
    return true
  } catch (error) {
    if (isBucketThere(error)) return false
    throw sentenceOf(`create the bucket ${bucket}`, error)
  }
}

async function allowOrigins(
  s3: S3Client,
  bucket: string,
  origins: readonly string[],
): Promise<void> {
  const rule = {
    AllowedOrigins: [...origins],
    AllowedMethods: ['GET', 'HEAD', 'PUT'],
    AllowedHeaders: ['*'],
    ExposeHeaders: ['ETag', 'Content-Length'],
    MaxAgeSeconds: preflightSeconds,
  }
  const cors = { Bucket: bucket, CORSConfiguration: { CORSRules: [rule] } }
  try {
    await s3.send(new PutBucketCorsCommand(cors))
  } catch (error) {
    // MinIO, for one, has no such rules for a bucket, and lets pages of every origin in.
    if (!isUnknownOperation(error)) throw sentenceOf(`allow origins on ${bucket}`, error)
  }
}
