import type { EventFeed } from '../../domain/ports/event-feed.ts'
import type { ReadModelStore } from '../../domain/ports/read-model-store.ts'
import type { Projection } from '../../projections/projection.ts'
import { ChainCheck } from '../invariants/chain-check.ts'
import type { Violation } from '../invariants/violation.ts'
import { ledgerHeads } from './ledger-heads.ts'
import type { ChainHead } from './ledger-heads.ts'

export type ComparedLedger = {
  readonly store: ReadModelStore
  readonly projections: readonly Projection[]
}

const pageEventsMax = 1_000

/**
 * Holds the chains of an exported log against the live one: all that was exported must still stand
 * there unchanged, and `ledger_head` must say of it what its events say.
 */
export async function compareLive(
  feed: EventFeed,
  { store, projections }: ComparedLedger,
  exported: readonly ChainHead[],
): Promise<readonly Violation[]> {
  const wrong: Violation[] = []
  const heads = await store.snapshot((live) => ledgerHeads(live, projections))
  const check = new ChainCheck(
    (invariant, subject, detail) => void wrong.push({ invariant, subject, detail }),
    [
      ...exported.map((head) => ({ ...head, by: 'the file' })),
      ...heads.map((head) => ({ ...head, by: 'ledger_head' })),
    ],
  )
  for (let position = feed.start; ;) {
    const page = await feed.readPage(position, pageEventsMax)
    for (const event of page.events) check.see(event)
    if (page.position === position) break
    position = page.position
  }
  check.end()
  return wrong
}
