import { isAccountEvent, isJobEvent } from '../../domain/catalog.ts'
import type { Recorded } from '../../domain/catalog.ts'
import type { AccountEvent } from '../../domain/account/account-events.ts'
import type { RecordedEvent } from '../../domain/envelope.ts'
import type { JobEvent } from '../../domain/job/job-events.ts'
import type { Row, Table } from '../../domain/ports/read-model-store.ts'
import type { Found } from './violation.ts'

/** Columns by which a row of one org could name a thing of another. */
const references = { jobId: 'job', endpointId: 'endpoint', grantId: 'grant' } as const

/** Tables in which a row of one org names a thing that has an owner. */
export function tenantTables(tables: readonly Table[]): readonly Table[] {
  return tables.filter(({ columns }) => {
    const names = Object.keys(references).filter((name) => Object.hasOwn(columns, name))
    return Object.hasOwn(columns, 'orgId') && names.length > 0
  })
}

/** I10: whatever an event or a row of one org names belongs to that org. */
export class TenantCheck {
  readonly #found: Found
  /** Owners by kind and id. The first event that names a thing tells whose it is. */
  readonly #owners = new Map<string, string>()

  constructor(found: Found) {
    this.#found = found
  }

  see(event: RecordedEvent): void {
    if (isJobEvent(event)) this.#seeJob(event)
    else if (isAccountEvent(event)) this.#seeAccount(event)
  }

  /** A row of one of the `tenantTables`. The log must have been seen up to it. */
  seeRow({ name, columns }: Table, row: Row): void {
    for (const [column, kind] of Object.entries(references)) {
      const id = Object.hasOwn(columns, column) ? row[column] : null
      if (typeof id !== 'string') continue
      const owner = this.#owners.get(`${kind} ${id}`)
      const { orgId } = row
      if (typeof orgId !== 'string' || owner === orgId) continue
      const told = owner === undefined ? 'no event of the log names it' : `it is ${owner}'s`
      this.#found('I10', `${name} of ${orgId}`, `${kind} ${id}: ${told}`)
    }
  }

  #seeJob(event: Recorded<JobEvent>): void {
    const { stream, meta } = event
    const orgId = event.type === 'JobSubmitted' ? event.data.orgId : meta.orgId
    this.#owned('job', stream.slice('job-'.length), orgId, event)
    if (meta.orgId !== orgId) this.#wrong(event, `it was written for ${meta.orgId}`)
    if (event.type === 'JobSucceeded') this.#owned('object', event.data.result.key, orgId, event)
  }

  #seeAccount(event: Recorded<AccountEvent>): void {
    const { stream, meta, type, data } = event
    const orgId = stream.slice('account-'.length)
    if (meta.orgId !== orgId) this.#wrong(event, `it was written for ${meta.orgId}`)
    if (type === 'CreditsHeld' || type === 'UsageRecorded' || type === 'HoldSettled') {
      this.#owned('job', data.jobId, orgId, event)
    }
    if (type === 'CreditsGranted') this.#owned('grant', data.grantId, orgId, event)
    if (type === 'UsageRecorded' || type === 'CreditsRevoked') {
      for (const { grantId } of data.allocations) this.#owned('grant', grantId, orgId, event)
    }
    if (type === 'WebhookEndpointRegistered') {
      this.#owned('endpoint', data.endpointId, orgId, event)
    }
  }

  #owned(kind: string, id: string, orgId: string, event: Recorded): void {
    const owner = this.#owners.get(`${kind} ${id}`)
    if (owner === undefined) this.#owners.set(`${kind} ${id}`, orgId)
    else if (owner !== orgId) this.#wrong(event, `${kind} ${id} is ${owner}'s, not ${orgId}'s`)
  }

  #wrong({ stream, type, revision }: Recorded, why: string): void {
    this.#found('I10', stream, `${type} at revision ${revision}: ${why}`)
  }
}
