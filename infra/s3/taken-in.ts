import { createHash, randomUUID, type Hash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { readAt } from '../filesystem/object-file.ts'
import { removeFile } from '../filesystem/object-folder.ts'

// S3 wants to know length and hash before the first byte; a stream tells them behind its last. So
// a stream is read to its end before S3 hears of it: a short one into memory, a longer one into a
// file without a name, which ends with this process however that dies. The price is to write and
// read the local disk once; a source that fails or is too long then costs S3 nothing, and nobody
// ever sees an object without its hash. The other ways show it for a while: to copy the object
// onto itself with the hash added, or to keep the hash in a second object.

/** Longer streams go through a file. */
export const memoryBytesMax = 1024 * 1024
const pieceBytesMax = 1024 * 1024

/** All bytes of an object to be, with their number and hash. */
export type TakenIn = {
  readonly bytes: number
  /** Hexadecimal. */
  readonly sha256: string
  /** The bytes from `start` to `end`, exclusive. */
  part(start: number, end: number): Promise<Uint8Array>
  /** Frees what holds the bytes. */
  close(): Promise<void>
}

export type TakeInOptions = {
  readonly bytesMax: number
  /** Where long streams wait. */
  readonly folder: string
  readonly tooLarge: () => Error
}

/**
 * Reads the body to its end.
 *
 * @throws `tooLarge()` when there are more than `bytesMax`; errors of the source
 */
export async function takeIn(
  body: AsyncIterable<Uint8Array> | Uint8Array,
  options: TakeInOptions,
): Promise<TakenIn> {
  const hash = createHash('sha256')
  if (body instanceof Uint8Array) {
    if (body.byteLength > options.bytesMax) throw options.tooLarge()
    await update(hash, body)
    return inMemory(body, hash)
  }
  const kept = new Kept(options.folder)
  try {
    for await (const chunk of body) {
      if (kept.bytes + chunk.byteLength > options.bytesMax) throw options.tooLarge()
      await update(hash, chunk)
      await kept.add(chunk)
    }
    return kept.file ? inFile(kept.file, kept.bytes, hash) : inMemory(kept.taken(), hash)
  } catch (error) {
    await kept.file?.close()
    throw error
  }
}

class Kept {
  readonly #folder: string
  #chunks: Uint8Array[] = []
  bytes = 0
  file: FileHandle | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.bytes += chunk.byteLength
    if (this.file) return this.file.writeFile(chunk)
    // The source may use its buffer again for the next chunk.
    this.#chunks.push(new Uint8Array(chunk))
    if (this.bytes <= memoryBytesMax) return
    this.file = await openNameless(this.#folder)
    await this.file.writeFile(this.taken())
    this.#chunks = []
  }

  taken(): Uint8Array {
    return Buffer.concat(this.#chunks)
  }
}

/** Gone from the folder at once, so that no killed process leaves one behind. */
async function openNameless(folder: string): Promise<FileHandle> {
  const path = join(folder, `weir-${randomUUID()}`)
  const file = await open(path, 'wx+', 0o600)
  await removeFile(path)
  return file
}

function inMemory(bytes: Uint8Array, hash: Hash): TakenIn {
  return {
    bytes: bytes.byteLength,
    sha256: hash.digest('hex'),
    part: async (start, end) => bytes.subarray(start, end),
    close: async () => undefined,
  }
}

function inFile(file: FileHandle, bytes: number, hash: Hash): TakenIn {
  return {
    bytes,
    sha256: hash.digest('hex'),
    part: (start, end) => readAt(file, start, end),
    close: () => file.close(),
  }
}

/** In pieces, so that hashing a large chunk does not hold up the process. */
async function update(hash: Hash, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength; at += pieceBytesMax) {
    if (at > 0) await setImmediate()
    hash.update(chunk.subarray(at, at + pieceBytesMax))
  }
}
