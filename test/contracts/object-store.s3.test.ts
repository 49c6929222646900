import { afterAll, beforeAll } from '@jest/globals'
import { S3ObjectStore } from '../../infra/s3/object-store.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { newBucket } from '../support/bucket.ts'
import { describeS3, s3 } from '../support/describe-s3.ts'
import { objectStoreContract } from './object-store.contract.ts'

describeS3('on a real S3 server', () => {
  const clock = new SystemClock()
  let store: S3ObjectStore

  beforeAll(async () => {
    store = new S3ObjectStore({ ...(await newBucket(s3)), clock })
  })

  afterAll(() => store.close())

  objectStoreContract(() => ({ store, now: () => clock.now() }))
})
