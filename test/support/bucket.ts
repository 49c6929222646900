import { randomBytes } from 'node:crypto'
import { prepareBucket } from '../../infra/s3/bucket.ts'
import type { S3Options } from '../../infra/s3/client.ts'
import type { S3Access } from './s3-access.ts'

/** A new bucket on the server, as a store is told of it. */
export async function newBucket(access: S3Access | null): Promise<S3Options> {
  if (access === null) throw new Error('there is no S3 server; use describeS3')
  const { accessKeyId, secretAccessKey, ...server } = access
  const options = {
    ...server,
    bucket: `weir-test-${randomBytes(6).toString('hex')}`,
    credentials: { accessKeyId, secretAccessKey },
    isPathStyle: true,
  }
  await prepareBucket(options, [])
  return options
}
