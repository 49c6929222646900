import { assert } from '../domain/assert.ts'
import type { ObjectStore } from '../domain/ports/object-store.ts'

/** Objects under way at the same time. */
const inFlightMax = 8

export type CopyOptions = {
  readonly keys: AsyncIterable<string>
  readonly from: Pick<ObjectStore, 'get'>
  readonly to: Pick<ObjectStore, 'head' | 'put'>
}

export type CopiedObjects = { readonly copied: number; readonly wereThere: number }

/** Copies objects into another store. What is there already with the same content stays. */
export async function copyObjects({ keys, from, to }: CopyOptions): Promise<CopiedObjects> {
  let [copied, wereThere] = [0, 0]
  const copy = async (key: string): Promise<void> => {
    const { object, body } = await from.get(key)
    const there = await to.head(key)
    if (there?.sha256 === object.sha256) {
      wereThere += 1
      return
    }
    const { contentType, bytes: bytesMax, sha256 } = object
    const put = await to.put(key, body, { contentType, bytesMax })
    assert(put.sha256 === sha256, 'the copy is what the original was')
    copied += 1
  }
  const iterator = keys[Symbol.asyncIterator]()
  const work = async (): Promise<void> => {
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      await copy(next.value)
    }
  }
  await Promise.all(Array.from({ length: inFlightMax }, work))
  return { copied, wereThere }
}
