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
/** UTF-8 of one UTF-16 code unit. */
const bytesPerUnitMax = 3
const asciiMax = 127
const shortUnitsMax = 16

const textOid = 25
const integerOid = 23
const uuidOid = 2950

/** Where arrays of texts are put together; nobody knows their length before they are written. */
let scratch = Buffer.allocUnsafe(65_536)

/** text[], with or without nulls. */
export function textArray(texts: readonly (string | null)[]): Buffer {
  let at = headerBytes
  let nulls = 0
  for (const text of texts) {
    const room = lengthBytes + (text === null ? 0 : text.length * bytesPerUnitMax)
    if (at + room > scratch.length) scratch = grown(at + room)
    const written = text === null ? nullLength : writeText(text, at + lengthBytes)
    scratch.writeInt32BE(written, at)
    at += lengthBytes
    if (text === null) nulls += 1
    else at += written
  }
  const array = header(at, textOid, texts.length)
  if (nulls > 0) array.writeInt32BE(1, hasNullsAt)
  scratch.copy(array, headerBytes, headerBytes, at)
  return array
}

/** Most values of rows are short and plain; then a call into the system costs more than a loop. */
function writeText(text: string, at: number): number {
  if (text.length > shortUnitsMax) return scratch.write(text, at)
  for (let unit = 0; unit < text.length; unit += 1) {
    const code = text.charCodeAt(unit)
    if (code > asciiMax) return scratch.write(text, at)
    scratch[at + unit] = code
  }
  return text.length
}

function grown(bytes: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafe(Math.max(bytes, 2 * scratch.length))
  scratch.copy(larger)
  return larger
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
