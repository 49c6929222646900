import { accountStream } from '../../domain/account/account.ts'
import type { ReadModelSnapshot } from '../../domain/ports/read-model-store.ts'
import type { Projection } from '../../projections/projection.ts'
import { rowsOf } from '../rows-of.ts'

/** Where the hash chain of an account stands: the hash of its last event. */
export type ChainHead = {
  readonly stream: string
  readonly revision: number
  readonly hash: string
}

/** The chains of all accounts, as the ledger has them at that moment, by the ids of their orgs. */
export async function ledgerHeads(
  live: ReadModelSnapshot,
  projections: readonly Projection[],
): Promise<readonly ChainHead[]> {
  const tables = projections.flatMap((projection) => projection.tables)
  const table = tables.find(({ name }) => name === 'ledger_head')
  if (!table) throw new Error('no read model keeps ledger_head')
  const heads: ChainHead[] = []
  for await (const { orgId, revision, hash } of rowsOf(live, table)) {
    const isHead = typeof orgId === 'string' && typeof hash === 'string'
    if (!isHead || typeof revision !== 'number') throw new Error('a row of ledger_head is none')
    heads.push({ stream: accountStream(orgId), revision, hash })
  }
  return heads
}
