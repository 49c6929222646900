import { spawnSync } from 'node:child_process'
import { expect, test } from '@jest/globals'
import { requireBuilt } from '../support/build.ts'

const compiled = new URL('../../dist/infra/s3/client.js', import.meta.url).href

test('the SDK of S3 tells nobody which version of Node it wants', () => {
  requireBuilt()
  const options = `{ bucket: 'b', region: 'us-east-1', isPathStyle: true }`
  const program = `import { openClient } from '${compiled}'; openClient(${options}).destroy()`
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program])
  expect({ status: ran.status, said: ran.stderr.toString() }).toEqual({ status: 0, said: '' })
})
