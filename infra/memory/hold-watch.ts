import { HoldWatch } from '../../domain/ports/hold-watch.ts'
import type { StrandedHold } from '../../domain/ports/hold-watch.ts'
import type { Row } from '../../domain/ports/read-model-store.ts'

/** What the watch looks at, as the memory read models hold it. */
export type WatchedRows = {
  readonly holds: () => readonly Row[]
  readonly queue: () => readonly Row[]
  readonly grants: () => readonly Row[]
  readonly balances: () => readonly Row[]
}

type Balance = { readonly orgId: string; readonly posted: string; readonly held: string }
type Hold = StrandedHold & { readonly heldAt: string; readonly isOpen: boolean }
type Grant = {
  readonly orgId: string
  readonly expiresAt: string | null
  readonly remaining: string
}

export class MemoryHoldWatch extends HoldWatch {
  readonly #rows: WatchedRows

  constructor(rows: WatchedRows) {
    super()
    this.#rows = rows
  }

  override async stranded(before: string, limit: number): Promise<readonly StrandedHold[]> {
    const queue = this.#rows.queue() as unknown as readonly { readonly jobId: string }[]
    const live = new Set(queue.map(({ jobId }) => jobId))
    const holds = this.#rows.holds() as unknown as readonly Hold[]
    return holds
      .filter(({ isOpen, heldAt, jobId }) => isOpen && heldAt < before && !live.has(jobId))
      .toSorted((a, b) => (a.heldAt < b.heldAt ? -1 : 1))
      .slice(0, limit)
      .map(({ orgId, holdId, jobId }) => ({ orgId, holdId, jobId }))
  }

  override async orgsWithExpiredCredits(now: string, limit: number): Promise<readonly string[]> {
    const grants = this.#rows.grants() as unknown as readonly Grant[]
    const expired = grants.filter(
      ({ expiresAt, remaining }) => expiresAt !== null && expiresAt <= now && remaining !== '0',
    )
    const balances = this.#rows.balances() as unknown as readonly Balance[]
    const free = balances.filter(({ posted, held }) => BigInt(posted) > BigInt(held))
    const withFree = new Set(free.map(({ orgId }) => orgId))
    const orgs = new Set(expired.map(({ orgId }) => orgId))
    return [...orgs].filter((orgId) => withFree.has(orgId)).slice(0, limit)
  }
}
