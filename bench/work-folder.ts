import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onCleanup } from './cleanup.ts'

/**
 * A folder for the data of one run, removed at its end. On ext4 or the like, not on a memory file
 * system: fsync must cost what it costs.
 */
export function workFolder(parent = existsSync('/var/tmp') ? '/var/tmp' : tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'weir-bench-'))
  // The user that runs Postgres must be able to pass through.
  chmodSync(folder, 0o711)
  onCleanup(folder, () => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  return folder
}
