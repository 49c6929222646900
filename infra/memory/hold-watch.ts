import { HoldWatch } from '../../domain/ports/hold-watch.ts'
import type { StrandedHold } from '../../domain/ports/hold-watch.ts'
import type { Row } from '../../domain/ports/read-model-store.ts'

/** What the watch looks at, as the memory read models hold it. */
export type WatchedRows = {
  readonly holds: () => readonly Row[]
  readonly queue: () => readonly Row[]
  readonly grants: () => readonly Row[]
}

export class MemoryHoldWatch extends HoldWatch {
  readonly #rows: WatchedRows

  constructor(rows: WatchedRows) {
    super()
    this.#rows = rows
  }

  override async stranded(before: string, limit: number): Promise<readonly StrandedHold[]> {
    const live = new Set(this.#rows.queue().map((row) => row['jobId']))
    return this.#rows
      .holds()
      .filter((row) => row['isOpen'] === true && String(row['heldAt']) < before)
      .filter((row) => !live.has(row['jobId']))
      .slice(0, limit)
      .map((row) => ({
        orgId: String(row['orgId']),
        holdId: String(row['holdId']),
        jobId: String(row['jobId']),
      }))
  }

  override async orgsWithExpiredCredits(now: string, limit: number): Promise<readonly string[]> {
    const expired = this.#rows
      .grants()
      .filter((row) => typeof row['expiresAt'] === 'string' && row['expiresAt'] <= now)
      .filter((row) => row['remaining'] !== '0')
    return [...new Set(expired.map((row) => String(row['orgId'])))].slice(0, limit)
  }
}
