// Arrays in the binary format of Postgres, which pg sends as they are. Its own text format escapes
// every quote of a JSON text: that was a quarter of what an append cost in Node.

const headerBytes = 20
const lengthBytes = 4
const uuidBytes = 16
const integerBytes = 4

/** Where an array says whether it has nulls. */
const hasNullsAt = 4
/** The length that stands for a null. */
const nullLength = -1

const textOid = 25
const integerOid = 23
const uuidOid = 2950

/** text[] */
export function textArray(texts: readonly string[]): Buffer {
  let total = headerBytes
  for (const text of texts) total += lengthBytes + Buffer.byteLength(text)
  const array = header(total, textOid, texts.length)
  let at = headerBytes
  for (const text of texts) {
    const written = array.write(text, at + lengthBytes)
    array.writeInt32BE(written, at)
    at += lengthBytes + written
  }
  return array
}

/** text[] with nulls. */
export function nullableTextArray(texts: readonly (string | null)[]): Buffer {
  let total = headerBytes
  for (const text of texts) total += lengthBytes + (text === null ? 0 : Buffer.byteLength(text))
  const array = header(total, textOid, texts.length)
  if (texts.length > 0) array.writeInt32BE(1, hasNullsAt)
  let at = headerBytes
  for (const text of texts) {
    const written = text === null ? nullLength : array.write(text, at + lengthBytes)
    array.writeInt32BE(written, at)
    at += lengthBytes + Math.max(written, 0)
  }
  return array
}

/** integer[] */
export function integerArray(integers: readonly number[]): Buffer {
  const elementBytes = lengthBytes + integerBytes
  const array = header(headerBytes + integers.length * elementBytes, integerOid, integers.length)
  let at = headerBytes
  for (const integer of integers) {
    array.writeInt32BE(integerBytes, at)
    array.writeInt32BE(integer, at + lengthBytes)
    at += elementBytes
  }
  return array
}

/** uuid[], from their usual form with hyphens. */
export function uuidArray(ids: readonly string[]): Buffer {
  const elementBytes = lengthBytes + uuidBytes
  const array = header(headerBytes + ids.length * elementBytes, uuidOid, ids.length)
  let at = headerBytes
  for (const id of ids) {
    array.writeInt32BE(uuidBytes, at)
    array.write(id.replaceAll('-', ''), at + lengthBytes, 'hex')
    at += elementBytes
  }
  return array
}

/** One dimension that begins at 1; an empty array has no dimension. */
function header(total: number, elementOid: number, count: number): Buffer {
  const array = Buffer.allocUnsafe(total)
  array.writeInt32BE(1, 0)
  array.writeInt32BE(0, 4)
  array.writeInt32BE(elementOid, 8)
  array.writeInt32BE(count, 12)
  array.writeInt32BE(1, 16)
  if (count > 0) return array
  array.writeInt32BE(0, 0)
  return array.subarray(0, 12)
}
