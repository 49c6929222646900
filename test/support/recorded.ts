import { accountStream } from '../../domain/account/account.ts'
import type { AccountEvent } from '../../domain/account/account-events.ts'
import type { Recorded, WeirEvent } from '../../domain/catalog.ts'
import { jobStream } from '../../domain/job/job.ts'
import type { JobEvent } from '../../domain/job/job-events.ts'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import { deriveId } from '../../infra/system/ids.ts'
import type { HoleAlarm } from '../../projections/hole-alarm.ts'
import { applyPage } from '../../projections/page.ts'
import type { Projection } from '../../projections/projection.ts'
import { at } from './job-history.ts'

/** Puts events into streams as a store would: numbered, one after the other, with stable ids. */
export class Recorder {
  readonly #revisions = new Map<string, number>()
  #position = 0

  job(jobId: string, event: JobEvent, orgId = 'acme'): Recorded {
    return this.#record(jobStream(jobId), event, orgId)
  }

  account(event: AccountEvent, orgId = 'acme'): Recorded {
    return this.#record(accountStream(orgId), event, orgId)
  }

  #record(stream: string, event: WeirEvent, orgId: string): Recorded {
    const revision = (this.#revisions.get(stream) ?? -1) + 1
    this.#revisions.set(stream, revision)
    this.#position += 1
    const ids = { correlationId: stream, causationId: `command-${this.#position}` }
    const about = { actor: 'key:k1', traceparent: null, at: at(this.#position), schema: 1 }
    const recordedAt = at(this.#position)
    const place = { stream, revision, position: String(this.#position), recordedAt }
    const id = deriveId([stream, String(revision)])
    return { ...event, id, ...place, meta: { orgId, ...ids, ...about } }
  }
}

/** Read models in memory that are given events by hand. */
export class ProjectedRows {
  readonly store = new MemoryReadModelStore()
  readonly #projections: readonly Projection[]

  constructor(...projections: readonly Projection[]) {
    this.#projections = projections
  }

  /** One page, committed. */
  async page(events: readonly Recorded[]): Promise<void> {
    const rows = await applyPage(this.#projections, events, this.store, 'live')
    await this.store.commit([], rows.changes(), 'live')
  }

  async pages(...pages: readonly (readonly Recorded[])[]): Promise<this> {
    for (const page of pages) await this.page(page)
    return this
  }

  /** Every row of every table, in an order that does not depend on when they were written. */
  everything(): Readonly<Record<string, readonly string[]>> {
    const all = this.#projections.flatMap(({ tables }) => tables)
    const tables = all.map((table) => {
      const rows = this.store.all(table).map((row) => JSON.stringify(row))
      return [table.name, rows.sort()] as const
    })
    return Object.fromEntries(tables)
  }
}

/** An alarm that remembers what it was told. */
export function heardAlarm(): { alarm: HoleAlarm; holes: Parameters<HoleAlarm>[0][] } {
  const holes: Parameters<HoleAlarm>[0][] = []
  return { alarm: (hole) => void holes.push(hole), holes }
}

/** Fails the test at once. */
export const noAlarm: HoleAlarm = (hole) => {
  throw new Error(`hole in ${hole.stream}: ${hole.got} after ${hole.seen}`)
}
