import type { JsonObject } from '../domain/json.ts'
import { defineTable } from './projection.ts'
import type { Projection } from './projection.ts'

/** One row per provider call, for ever. */
export type UsageEntryRow = {
  readonly usageId: string
  readonly orgId: string
  readonly jobId: string
  readonly jobType: string
  readonly userId: string | null
  readonly provider: string
  readonly model: string | null
  readonly units: JsonObject
  readonly ms: number
  readonly costNanoUsd: string
  readonly chargedMicro: string
  readonly priceVersion: number
  readonly isPriced: boolean
  readonly calledAt: string
}

export const usageEntryTable = defineTable<UsageEntryRow>({
  name: 'usage_entry',
  key: 'usageId',
  columns: {
    usageId: 'text',
    orgId: 'text',
    jobId: 'text',
    jobType: 'text',
    userId: 'text',
    provider: 'text',
    model: 'text',
    units: 'json',
    ms: 'int',
    costNanoUsd: 'numeric',
    chargedMicro: 'numeric',
    priceVersion: 'int',
    isPriced: 'bool',
    calledAt: 'time',
  },
  appendOnly: true,
})

export const usage: Projection = {
  name: 'usage',
  version: 1,
  order: 'org',
  rebuildable: true,
  tables: [usageEntryTable],
  reads: () => [],
  handlers: {
    UsageRecorded: ({ data, meta }, rows) => {
      const { usageId, jobId, jobType, userId, provider, model, units, ms } = data
      const { costNanoUsd, chargedMicro, priceVersion, priced, calledAt } = data
      rows.put(usageEntryTable, {
        ...{ usageId, orgId: meta.orgId, jobId, jobType, userId, provider, model, units, ms },
        ...{ costNanoUsd, chargedMicro, priceVersion, isPriced: priced, calledAt },
      })
    },
  },
}
