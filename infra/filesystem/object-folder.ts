import { createHash, randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { link, mkdir, readdir, rename, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const openFile = promisify(fs.open)
const closeFile = promisify(fs.close)
const syncFile = promisify(fs.fsync)

// Names are hashes of keys, so the shards fill evenly: ten million objects are 160,000 per folder,
// which ext4 and XFS index. More shards cost more fsyncs per batch (measured, objects/s at 256
// concurrent puts of 300 bytes on two cores: 1 shard 51k, 64 shards 28k, 256 shards 19k).
const shardCount = 64

type Place = { readonly shard: string; readonly name: string }

/** What became of one key of a published file. */
export type Published = 'placed' | 'already there'

/**
 * The folder below an object store: `tmp/` for files being written, `objects/<shard>/` for those
 * that are whole. A file is written in `tmp`, then linked under each of its keys.
 */
export class ObjectFolder {
  readonly #root: string
  readonly #shards = new Map<string, Promise<number>>()
  #prepared: Promise<void> | undefined

  constructor(root: string) {
    this.#root = root
  }

  /** A path for a file to write, in the same filesystem as the objects. */
  async newTempPath(): Promise<string> {
    await (this.#prepared ??= this.#prepare())
    return join(this.#root, 'tmp', randomUUID())
  }

  /** Where the object of that key is, when it is there. */
  pathOf(key: string): string {
    return this.#pathOf(placeOf(key))
  }

  /**
   * Gives the written and synced file its names, durably, and takes away the temporary one. A key
   * that was there is replaced, or kept with `onlyNew`. Each key succeeds or fails for itself.
   */
  async publish(
    tempPath: string,
    keys: readonly string[],
    options: { onlyNew: boolean } = { onlyNew: false },
  ): Promise<PromiseSettledResult<Published>[]> {
    const places = keys.map(placeOf)
    const settled = await Promise.allSettled(
      places.map((place) => this.#place(tempPath, place, options)),
    )
    await removeFile(tempPath)
    await this.#syncShards(places)
    return settled
  }

  /** The file of every object, one by one; a file with several objects comes once for each. */
  async *paths(): AsyncGenerator<string, void> {
    const objects = join(this.#root, 'objects')
    for (const shard of await readdir(objects).catch(ignoreMissing([]))) {
      const folder = join(objects, shard)
      for (const name of await readdir(folder)) yield join(folder, name)
    }
  }

  /** Removes the object if it is there. */
  async remove(key: string): Promise<void> {
    if (!(await removeFile(this.pathOf(key)))) return
    await this.#syncShards([placeOf(key)])
  }

  /** Removes temporary files last written before `writtenBefore` (ms); returns how many. */
  async sweepTemp(writtenBefore: number): Promise<number> {
    const folder = join(this.#root, 'tmp')
    const names = await readdir(folder).catch(ignoreMissing([]))
    let removed = 0
    for (const name of names) {
      const path = join(folder, name)
      const { mtimeMs } = await stat(path).catch(ignoreMissing({ mtimeMs: Infinity }))
      if (mtimeMs < writtenBefore && (await removeFile(path))) removed += 1
    }
    return removed
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#shards.values())
    this.#shards.clear()
    for (const shard of opened) if (shard.status === 'fulfilled') await closeFile(shard.value)
  }

  async #place(tempPath: string, place: Place, options: { onlyNew: boolean }): Promise<Published> {
    const path = this.#pathOf(place)
    await this.#openShard(place.shard)
    try {
      await link(tempPath, path)
      return 'placed'
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
      if (options.onlyNew) return 'already there'
    }
    // link() replaces nothing, rename() does: a second name first, then over the old object.
    const second = await this.newTempPath()
    await link(tempPath, second)
    try {
      await rename(second, path)
    } finally {
      // rename() leaves both names when they are of one file, and the second when it fails.
      await removeFile(second)
    }
    return 'placed'
  }

  async #syncShards(places: readonly Place[]): Promise<void> {
    const shards = new Set(places.map(({ shard }) => shard))
    const [last, ...others] = [...shards].toReversed()
    // On a journaling filesystem the first fsync commits the links of the other folders too, and
    // theirs find nothing left to do.
    if (last !== undefined) await syncFile(await this.#openShard(last))
    await Promise.all(others.map(async (shard) => syncFile(await this.#openShard(shard))))
  }

  #pathOf({ shard, name }: Place): string {
    return join(this.#root, 'objects', shard, name)
  }

  async #openShard(shard: string): Promise<number> {
    const known = this.#shards.get(shard)
    if (known !== undefined) return known
    const opening = this.#createShard(shard)
    this.#shards.set(shard, opening)
    opening.catch(() => this.#shards.delete(shard))
    return opening
  }

  async #createShard(shard: string): Promise<number> {
    const objects = join(this.#root, 'objects')
    const path = join(objects, shard)
    if ((await mkdir(path, { recursive: true })) !== undefined) await syncFolder(objects)
    return openFile(path, 'r')
  }

  async #prepare(): Promise<void> {
    try {
      await mkdir(join(this.#root, 'tmp'), { recursive: true })
      await mkdir(join(this.#root, 'objects'), { recursive: true })
      await syncFolder(this.#root)
    } catch (error) {
      this.#prepared = undefined
      throw error
    }
  }
}

/** Whether there was such a file. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await openFile(path, 'r')
  try {
    await syncFile(folder)
  } finally {
    await closeFile(folder)
  }
}

function placeOf(key: string): Place {
  const hash = createHash('sha256').update(key).digest()
  const shard = (hash.readUInt8(0) % shardCount).toString(16).padStart(2, '0')
  return { shard, name: hash.toString('hex') }
}

/** The system's error code, e.g. ENOENT. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

function ignoreMissing<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (codeOf(error) === 'ENOENT') return instead
    throw error
  }
}
