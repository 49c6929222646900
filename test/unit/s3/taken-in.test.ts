import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { memoryBytesMax, takeIn } from '../../../infra/s3/taken-in.ts'

let folder: string
const tooLarge = () => new Error('too large')

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weir-taken-in-'))
})

afterAll(() => rm(folder, { recursive: true }))

/** A source that fills the same buffer again for every chunk. */
async function* reusing(bytes: Uint8Array, chunkBytes: number) {
  const buffer = new Uint8Array(chunkBytes)
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
    const chunk = bytes.subarray(at, at + chunkBytes)
    buffer.set(chunk)
    yield buffer.subarray(0, chunk.byteLength)
  }
}

test.each([0, 1, memoryBytesMax, memoryBytesMax + 1, 3 * memoryBytesMax + 7])(
  '%i bytes are kept with number and hash, and leave no file',
  async (size) => {
    const bytes = randomBytes(size)
    for (const body of [bytes, reusing(bytes, 10_000)]) {
      const taken = await takeIn(body, { bytesMax: size, folder, tooLarge })
      expect(taken.bytes).toBe(size)
      expect(taken.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
      expect(await readdir(folder)).toEqual([])
      const middle = Math.floor(size / 2)
      const parts = [await taken.part(0, middle), await taken.part(middle, size)]
      expect(Buffer.concat(parts).equals(bytes)).toBe(true)
      await taken.close()
    }
  },
)

test('reading stops at the first byte too many', async () => {
  let chunks = 0
  async function* endless() {
    for (;;) {
      chunks += 1
      yield new Uint8Array(100_000)
    }
  }
  const bytesMax = 2 * memoryBytesMax
  await expect(takeIn(endless(), { bytesMax, folder, tooLarge })).rejects.toThrow('too large')
  expect(chunks).toBe(Math.floor(bytesMax / 100_000) + 1)
  expect(await readdir(folder)).toEqual([])
})

test('a folder that is not there is an error, not a lost object', async () => {
  const nowhere = { bytesMax: Infinity, folder: join(folder, 'nowhere'), tooLarge }
  const bytes = randomBytes(memoryBytesMax + 1)
  await expect(takeIn(reusing(bytes, 10_000), nowhere)).rejects.toThrow('ENOENT')
})
