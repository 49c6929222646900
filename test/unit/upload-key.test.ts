import { describe, expect, test } from '@jest/globals'
import { isUploadId, uploadKey, uploadUsableUntil } from '../../domain/upload/upload-key.ts'

const orgId = '01980000-0000-7000-8000-000000000001'
// 0x019800000000 ms since the epoch, read off its first 48 bits.
const uploadId = '01980000-0000-7abc-9def-0123456789ab'

describe('upload ids', () => {
  test('an upload belongs to its org by its key', () => {
    expect(uploadKey(orgId, uploadId)).toBe(`uploads/${orgId}/${uploadId}`)
  })

  test('an upload is usable for 24 hours from the time in its id', () => {
    expect(uploadUsableUntil(uploadId)).toBe(0x0198_0000_0000 + 24 * 3_600_000)
  })

  test.each([
    '',
    'x',
    '../x',
    uploadId.toUpperCase(),
    uploadId.replace('-7', '-4'),
    `${uploadId}\n`,
  ])('%j is not an upload id', (text) => {
    expect(isUploadId(text)).toBe(false)
    expect(() => uploadKey(orgId, text)).toThrow()
  })

  test('an org id that is not one makes no key', () => {
    expect(() => uploadKey('../other', uploadId)).toThrow()
  })
})
