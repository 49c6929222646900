import { randomUUID } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import type { HoldWatch } from '../../domain/ports/hold-watch.ts'
import type { ReadModelStore, TableChange } from '../../domain/ports/read-model-store.ts'
import {
  accountBalanceTable,
  creditGrantTable,
  creditHoldTable,
  type AccountBalanceRow,
  type CreditGrantRow,
  type CreditHoldRow,
} from '../../projections/balance.ts'
import { jobQueueTable, type JobQueueRow } from '../../projections/job-queue.ts'
import { at } from '../support/job-history.ts'

export type HoldWatchWorld = { readonly holds: HoldWatch; readonly store: ReadModelStore }

function hold(orgId: string, more: Partial<CreditHoldRow> = {}): CreditHoldRow {
  const holdId = randomUUID()
  const amounts = { remaining: '500', charged: '0' }
  const times = { isOpen: true, heldAt: at(0), expiresAt: at(9e4) }
  return { holdId, orgId, jobId: holdId, ...amounts, ...times, ...more }
}

function queued(orgId: string, jobId: string): JobQueueRow {
  return {
    ...{ jobId, orgId, userId: null, jobType: 'image.upscale', state: 'queued' as const },
    ...{ priority: 1, turn: 1, runAt: null, deadlineAt: null, cancelRequested: false },
    ...{ revision: 0, queuedAt: at(0) },
  }
}

function grant(orgId: string, expiresAt: string | null, remaining = '10'): CreditGrantRow {
  const about = { kind: 'purchase', priority: 100, reason: 'bought', grantedAt: at(0) }
  return { grantId: randomUUID(), orgId, amount: '10', remaining, expiresAt, ...about }
}

function balance(orgId: string, posted: string, held = '0'): AccountBalanceRow {
  const about = { name: orgId, status: 'active' as const, throttledUntil: null }
  return { orgId, posted, held, overdraft: '90', revision: 1, openedAt: at(0), ...about }
}

/** What every watch over stuck money promises. Rows are written through the read-model store. */
export function holdWatchContract(given: () => HoldWatchWorld): void {
  const put = (table: TableChange['table'], rows: TableChange['put']) =>
    given().store.commit([], [{ table, put: rows, remove: [] }], 'live')

  describe('stranded holds', () => {
    test('are open, old, and have no live job; the oldest come first', async () => {
      const orgId = randomUUID()
      const [second, first] = [hold(orgId, { heldAt: at(5) }), hold(orgId, { heldAt: at(4) })]
      const closed = hold(orgId, { isOpen: false })
      const young = hold(orgId, { heldAt: at(60) })
      const live = hold(orgId)
      await put(creditHoldTable, [second, closed, young, live, first])
      await put(jobQueueTable, [queued(orgId, live.jobId)])
      const found = await given().holds.stranded(at(60), 1_000)
      const mine = found.filter((each) => each.orgId === orgId)
      expect(mine).toEqual([first, second].map(({ holdId, jobId }) => ({ orgId, holdId, jobId })))
    })

    test('the hold of a requeue that never came is told from its job', async () => {
      const orgId = randomUUID()
      const jobId = randomUUID()
      await put(creditHoldTable, [hold(orgId, { holdId: `${jobId}/1`, jobId })])
      const found = await given().holds.stranded(at(60), 1_000)
      expect(found).toContainEqual({ orgId, holdId: `${jobId}/1`, jobId })
    })

    test('are at most as many as asked for', async () => {
      const orgId = randomUUID()
      await put(creditHoldTable, [hold(orgId), hold(orgId), hold(orgId)])
      expect(await given().holds.stranded(at(60), 2)).toHaveLength(2)
    })
  })

  describe('orgs with expired credits', () => {
    test('have a grant whose time is over and that is not used up, each once', async () => {
      const [over, spent, later, never] = ['over', 'spent', 'later', 'never'].map(
        (name) => `${name}-${randomUUID()}`,
      ) as [string, string, string, string]
      const orgIds = [over, spent, later, never]
      await put(
        accountBalanceTable,
        orgIds.map((orgId) => balance(orgId, '9'.repeat(31))),
      )
      await put(creditGrantTable, [
        grant(over, at(30)),
        grant(over, at(20), '9'.repeat(30)),
        grant(spent, at(20), '0'),
        grant(later, at(31)),
        grant(never, null),
      ])
      const found = await given().holds.orgsWithExpiredCredits(at(30), 1_000)
      expect(found.filter((orgId) => orgIds.includes(orgId))).toEqual([over])
    })

    test('that are all reserved are left alone, and keep nobody else waiting', async () => {
      const [reserved, partly] = [randomUUID(), randomUUID()]
      await put(accountBalanceTable, [balance(reserved, '10', '10'), balance(partly, '10', '9')])
      await put(creditGrantTable, [grant(reserved, at(1)), grant(partly, at(1))])
      const found = await given().holds.orgsWithExpiredCredits(at(30), 1_000)
      const both: readonly string[] = [reserved, partly]
      expect(found.filter((orgId) => both.includes(orgId))).toEqual([partly])
    })

    test('come as many as asked for', async () => {
      const orgIds = [1, 2, 3].map(() => randomUUID())
      await put(
        accountBalanceTable,
        orgIds.map((orgId) => balance(orgId, '10')),
      )
      await put(
        creditGrantTable,
        orgIds.map((orgId) => grant(orgId, at(1))),
      )
      expect(await given().holds.orgsWithExpiredCredits(at(30), 2)).toHaveLength(2)
    })
  })
}
