import type { FileHandle } from 'node:fs/promises'
import { assert } from '../../domain/assert.ts'
import type { StoredObject } from '../../domain/ports/object-store.ts'

// An object file holds one object or many small ones:
//
//   body … body │ index: JSON list of entries │ length of the index, uint32 BE │ magic
//
// The index stands at the end because the hash is known only when the bytes are written. Bytes and
// what is known of them are one file, so there is no moment with one and not the other.

const magic = Buffer.from('weirobj1')
const footerBytes = 4 + magic.length
const tailGuessBytes = 4096

/** Where one object stands in an object file. */
export type ObjectEntry = StoredObject & { readonly offset: number }

/** The file is not one of ours or was damaged after it was written. */
export class ObjectFileDamaged extends Error {
  override readonly name = 'ObjectFileDamaged'
}

/** What stands behind the last body. */
export function encodeTail(entries: readonly ObjectEntry[]): Buffer {
  const index = Buffer.from(JSON.stringify(entries))
  const footer = Buffer.alloc(footerBytes)
  footer.writeUInt32BE(index.length)
  magic.copy(footer, 4)
  return Buffer.concat([index, footer])
}

/**
 * The entry of `key` in the open file.
 *
 * @throws ObjectFileDamaged
 */
export async function readEntry(file: FileHandle, key: string): Promise<ObjectEntry> {
  const { entries, indexStart } = await readIndex(file, key)
  const entry = entries.find((each) => each.key === key)
  if (entry === undefined) throw new ObjectFileDamaged(`${key} is missing in the index of its file`)
  assert(
    entry.offset >= 0 && entry.offset + entry.bytes <= indexStart,
    'bodies end before the index',
  )
  return entry
}

/**
 * What the open file holds.
 *
 * @param name for the error
 * @throws ObjectFileDamaged
 */
export async function readIndex(file: FileHandle, name: string) {
  const { size } = await file.stat()
  let tail = await readAt(file, Math.max(0, size - tailGuessBytes), size)
  const footer = tail.subarray(-footerBytes)
  if (footer.length < footerBytes || !footer.subarray(4).equals(magic)) {
    throw new ObjectFileDamaged(`the file of ${name} has no index`)
  }
  const indexEnd = size - footerBytes
  const indexStart = indexEnd - footer.readUInt32BE()
  if (indexStart < 0) throw new ObjectFileDamaged(`the index of ${name} is longer than its file`)
  if (indexStart < size - tail.length) tail = await readAt(file, indexStart, size)
  const index = tail.subarray(tail.length - (size - indexStart), tail.length - footerBytes)
  return { entries: parseIndex(index, name), indexStart }
}

/** Exactly the bytes from `start` to `end` (exclusive) of the file. */
export async function readAt(file: FileHandle, start: number, end: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(end - start)
  for (let filled = 0; filled < buffer.length;) {
    const left = buffer.length - filled
    const { bytesRead } = await file.read(buffer, filled, left, start + filled)
    if (bytesRead === 0) throw new ObjectFileDamaged('the file is shorter than its index says')
    filled += bytesRead
  }
  return buffer
}

function parseIndex(index: Buffer, key: string): readonly ObjectEntry[] {
  try {
    return JSON.parse(index.toString()) as ObjectEntry[]
  } catch (cause) {
    throw new ObjectFileDamaged(`the index of the file of ${key} is not JSON`, { cause })
  }
}
