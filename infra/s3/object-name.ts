import { checkObjectKey } from '../object-key.ts'

// The name of the object `results/a/1/result.json` is `results/a/1/-/result.json`. What stands
// before the `-` are folders, what stands behind it is the object, and no part of a key is called
// `-`: so a key may be the beginning of another one also where the server keeps objects as files,
// as versitygw does. There a file name has at most 255 bytes too: a longer part of a key goes on
// behind `--`.

const partLengthMax = 200

/**
 * The name of a key's object in the bucket; no two keys have the same.
 *
 * @throws InvalidObjectKey
 */
export function objectName(key: string): string {
  checkObjectKey(key)
  const parts = key.split('/').map(inPieces)
  const last = parts.pop() ?? []
  const folders = [...parts.flat(), ...last.slice(0, -1)]
  return [...folders, '-', ...last.slice(-1)].join('/')
}

/** Whether an object of weir may have that name, in a bucket that others use too. */
export function isObjectName(name: string): boolean {
  return name.split('/').at(-2) === '-'
}

function inPieces(part: string): string[] {
  if (part.length <= partLengthMax) return [part]
  return [part.slice(0, partLengthMax), '--', ...inPieces(part.slice(partLengthMax))]
}
