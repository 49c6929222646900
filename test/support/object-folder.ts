import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes of the largest object that is just being written in the object folder of a home. */
export function bytesBeingWritten(home: string): number {
  const folder = join(home, 'objects', 'tmp')
  const sizes = readdirSync(folder).map((name) => {
    return statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
  })
  return Math.max(0, ...sizes)
}
