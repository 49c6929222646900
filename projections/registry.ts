import { audit } from './audit.ts'
import { balance } from './balance.ts'
import { concurrencyLimit } from './concurrency-limit.ts'
import type { HoleAlarm } from './hole-alarm.ts'
import { jobQueue } from './job-queue.ts'
import { jobStatus } from './job-status.ts'
import { ledger } from './ledger.ts'
import type { Projection } from './projection.ts'
import { usage } from './usage.ts'
import { webhookOutbox } from './webhook-outbox.ts'

/** What the read models need from outside. */
export type ProjectionOptions = {
  readonly alarm: HoleAlarm
  /** Absolute base of links, without a slash at the end. */
  readonly publicUrl: string
}

/** Every read model. A new one is a file of its own and a line here. */
export function projections({ alarm, publicUrl }: ProjectionOptions): readonly Projection[] {
  return [
    concurrencyLimit,
    jobQueue,
    jobStatus(alarm),
    balance(alarm),
    usage,
    ledger(alarm),
    audit,
    webhookOutbox(publicUrl),
  ]
}
