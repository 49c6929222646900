import { FilesystemObjectStore } from '../../infra/filesystem/object-store.ts'
import { SystemClock } from '../../infra/system/clock.ts'

/** The objects of a weir that kept them in a folder, to be read and nothing else. */
export function openObjectFolder(root: string): FilesystemObjectStore {
  const signing = { baseUrl: 'http://nowhere.invalid', secretKey: new Uint8Array(32) }
  return new FilesystemObjectStore({ root, ...signing, clock: new SystemClock() })
}
