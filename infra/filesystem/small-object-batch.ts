import { open } from 'node:fs/promises'
import { assert } from '../../domain/assert.ts'
import type { StoredObject } from '../../domain/ports/object-store.ts'
import { encodeTail, type ObjectEntry } from './object-file.ts'
import { removeFile, type ObjectFolder } from './object-folder.ts'

/** Larger objects get a file of their own. */
export const smallObjectBytesMax = 64 * 1024

const batchObjectsMax = 256
const batchBytesMax = 1024 * 1024

type Waiting = {
  readonly object: StoredObject
  readonly body: Uint8Array
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/**
 * Group commit for small objects: those that arrive while a batch is being written form the next
 * one, which is one file with one fsync, linked under every key. The file system counts the links
 * and frees the file with the last of them, so deleting needs no compaction.
 *
 * Measured with 300-byte objects on two cores, 32 puts at a time: a file and a folder fsync for
 * each object 5,600/s at 220 µs of CPU; with folder fsyncs batched 5,100 to 6,600/s at 180 to
 * 220 µs; this 13,000/s at 59 µs. With 256 at a time 28,000/s at 30 µs. Alone a put takes 0.7 ms
 * either way.
 */
export class SmallObjectBatch {
  readonly #folder: ObjectFolder
  #waiting: Waiting[] = []
  #writing = false

  constructor(folder: ObjectFolder) {
    this.#folder = folder
  }

  /** Resolves when the object is durable under its key. */
  put(object: StoredObject, body: Uint8Array): Promise<void> {
    assert(body.byteLength <= smallObjectBytesMax, 'only small objects share a file')
    return new Promise((resolve, reject) => {
      this.#waiting.push({ object, body, resolve, reject })
      if (this.#writing) return
      this.#writing = true
      queueMicrotask(() => void this.#writeAll())
    })
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch()
      try {
        await this.#write(batch)
      } catch (error) {
        for (const each of batch) each.reject(error)
      }
    }
    this.#writing = false
  }

  #takeBatch(): readonly Waiting[] {
    const keys = new Set<string>()
    let bytes = 0
    let count = 0
    for (const { object } of this.#waiting) {
      // A key twice waits for the next batch: the later put has to win.
      if (count === batchObjectsMax || bytes >= batchBytesMax || keys.has(object.key)) break
      keys.add(object.key)
      bytes += object.bytes
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const path = await this.#folder.newTempPath()
    const entries: ObjectEntry[] = []
    let offset = 0
    for (const { object } of batch) {
      entries.push({ ...object, offset })
      offset += object.bytes
    }
    try {
      const file = await open(path, 'wx')
      try {
        await file.writeFile(Buffer.concat([...batch.map(({ body }) => body), encodeTail(entries)]))
        await file.datasync()
      } finally {
        await file.close()
      }
    } catch (error) {
      await removeFile(path)
      throw error
    }
    const published = await this.#folder.publish(
      path,
      batch.map(({ object }) => object.key),
    )
    for (const [at, { resolve, reject }] of batch.entries()) {
      const outcome = published[at]
      assert(outcome !== undefined, 'each key has an outcome')
      if (outcome.status === 'fulfilled') resolve()
      else reject(outcome.reason)
    }
  }
}
