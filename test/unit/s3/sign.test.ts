import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { ObjectStoreUnavailable } from '../../../domain/ports/object-store.ts'
import { S3ObjectStore } from '../../../infra/s3/object-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'

// No credentials anywhere: what the machine's role would give is not asked for.
const environment = { ...process.env }

beforeAll(() => {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('AWS_')) Reflect.deleteProperty(process.env, name)
  }
  process.env['AWS_EC2_METADATA_DISABLED'] = 'true'
  process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null'
  process.env['AWS_CONFIG_FILE'] = '/dev/null'
})

afterAll(() => {
  process.env = environment
})

test('a URL that cannot be signed now says so, and may be asked for again', async () => {
  const clock = new SimulatedClock()
  const place = { bucket: 'b', region: 'us-east-1', endpoint: 'http://127.0.0.1:9' }
  const objects = new S3ObjectStore({ ...place, isPathStyle: true, clock })
  const expiresAt = clock.now() + 60_000
  const grant = { key: 'uploads/a', contentType: 'image/png', bytes: 1, expiresAt }
  await expect(objects.signGet('results/a', expiresAt)).rejects.toThrow(ObjectStoreUnavailable)
  await expect(objects.signPut(grant)).rejects.toThrow(ObjectStoreUnavailable)
  await objects.close()
})
