import { ObjectStoreUnavailable } from '../../domain/ports/object-store.ts'
import { codeOf } from './object-folder.ts'

/** What a disk says that is full, over its quota, broken, or has no files left. */
const unavailableCodes = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE'])

/**
 * Runs one operation on files; whoever waits for a full disk is told apart from a mistake.
 *
 * @throws ObjectStoreUnavailable
 */
export async function orUnavailable<T>(operation: Promise<T>): Promise<T> {
  try {
    return await operation
  } catch (cause) {
    if (!unavailableCodes.has(codeOf(cause) ?? '')) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ObjectStoreUnavailable(`the disk of the object store: ${why}`, { cause })
  }
}
