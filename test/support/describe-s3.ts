import { describe } from '@jest/globals'
import type { S3Access } from './s3-access.ts'
import { sharedS3 } from './s3-server.ts'

/** The S3 server of the run; null when this machine can have none. */
export const s3 = await found()

/** Tests against a real S3 server: skipped, and loudly, where there is no way to have one. */
export const describeS3 = s3 === null ? describe.skip : describe

async function found(): Promise<S3Access | null> {
  try {
    return await sharedS3()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    if (process.env['CI'] === 'true')
      throw new Error(`There is no S3 for the tests: ${why}`, { cause })
    process.stderr.write(`\nSKIPPED, everything about S3: ${why}\n\n`)
    return null
  }
}
