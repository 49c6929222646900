import type { Limit } from '../domain/account/limits.ts'
import type { Json } from '../domain/json.ts'
import { defineTable } from './projection.ts'
import type { Projection } from './projection.ts'

/** What an org lets run at the same time; orgs without such a limit have no row. */
export type ConcurrencyLimitRow = {
  readonly orgId: string
  /** `[{ scope, key, max, until }]`, as claims read it. */
  readonly limits: Json
}

export const concurrencyLimitTable = defineTable<ConcurrencyLimitRow>({
  name: 'concurrency_limit',
  key: 'orgId',
  columns: { orgId: 'text', limits: 'json' },
  appendOnly: false,
})

/**
 * Its rows are what claims obey: it comes before the queue in every page. That is why its order is
 * that of the queue: carried by another projector, a limit could come after jobs that were
 * submitted under it.
 */
export const concurrencyLimit: Projection = {
  name: 'concurrency_limit',
  version: 2,
  order: 'log',
  rebuildable: true,
  tables: [concurrencyLimitTable],
  reads: () => [],
  handlers: {
    LimitsSet: ({ data, meta: { orgId } }, rows) => {
      const limits = data.limits.filter(({ kind }) => kind === 'concurrency').map(stored)
      if (limits.length > 0) rows.put(concurrencyLimitTable, { orgId, limits })
      else rows.remove(concurrencyLimitTable, orgId)
    },
  },
}

function stored({ scope, key, max, until }: Limit) {
  return { scope, key, max: Number(max), until }
}
