import { keyOf } from '../../domain/ports/read-model-store.ts'
import type { Row, Table } from '../../domain/ports/read-model-store.ts'
import { nextAttemptDelayMs } from '../../domain/webhook/retry-schedule.ts'
import { MemoryReadModelStore } from '../../infra/memory/read-model-store.ts'
import { applyPage, knownEvents } from '../../projections/page.ts'
import { checkInvariants } from '../../workers/invariants.ts'
import type { Clients } from './clients.ts'
import type { Plan } from './job-types.ts'
import type { World } from './world.ts'

/** Longest wait of a webhook, all attempts together, ms. */
const webhooksMs = 4 * 86_400_000
const pageEventsMax = 40

/** All that must hold once nothing is left to do. */
export async function checkEnd(world: World, clients: Clients): Promise<void> {
  const { found, objects } = world
  const readModels = {
    ...{ store: world.rows, deliveries: world.deliveries, nowMs: world.scheduler.now() },
    ...{ projections: world.projections(), isSending: true, shareOf: () => '' },
    deliveriesKeptMs: null,
  }
  const feed = world.newFeed()
  const report = await checkInvariants({ feed, objects, readModels, isDrained: true })
  for (const { invariant, subject, detail } of report.violations) found(invariant, subject, detail)
  checkAccepted(world, clients)
  checkUsage(world)
  await checkRebuild(world)
  await checkWebhooks(world)
}

/** I1: what was answered with 202 is there. */
function checkAccepted({ watch, found }: World, { accepted }: Clients): void {
  for (const [key, jobId] of accepted) {
    if (!watch.jobs.get(jobId)?.check.orgId) found('I1', key, `job ${jobId} was accepted and lost`)
  }
}

/** I3: a job that succeeded has paid each of its calls, and each once. */
function checkUsage({ watch, log, found }: World): void {
  for (const [stream, [first]] of log.streams) {
    if (first?.type !== 'JobSubmitted') continue
    const jobId = stream.slice('job-'.length)
    const { steps } = (JSON.parse(first.data) as { readonly input: Plan }).input
    const count = watch.usageOfJob.get(jobId) ?? 0
    const isAll = watch.jobs.get(jobId)?.succeeded === true
    if (count > steps || (isAll && count < steps)) {
      found('I3', jobId, `${count} calls were paid, its plan has ${steps}`)
    }
  }
}

/** I9: read models that are built from the log alone, in other pages, equal those that lived. */
async function checkRebuild(world: World): Promise<void> {
  const rebuilt = new MemoryReadModelStore()
  const feed = world.newFeed()
  const all = world.projections()
  for (let from = feed.start; ;) {
    const { events, position } = await feed.readPage(from, world.random.between(1, pageEventsMax))
    if (position === from) break
    const rows = await applyPage(all, knownEvents(events), rebuilt, 'live')
    await rebuilt.commit([], rows.changes(), 'live')
    from = position
  }
  for (const table of all.flatMap(({ tables }) => tables)) {
    const [live, again] = [world.rows, rebuilt].map((rows) => textsOf(table, rows.all(table)))
    const other = live?.find((row, at) => row !== again?.[at])
    if (other === undefined && live?.length === again?.length) continue
    world.found('I9', table.name, `${live?.length} rows, rebuilt ${again?.length}: ${other}`)
  }
}

function textsOf(table: Table, rows: readonly Row[]): readonly string[] {
  return rows.map((row) => `${keyOf(table, row)} ${JSON.stringify(row)}`).toSorted()
}

/** I7: every delivery is taken, or is parked after its last attempt. */
async function checkWebhooks(world: World): Promise<void> {
  const { scheduler, deliveries, taken, found } = world
  const all = { status: 'pending', after: null, limit: 10_000 } as const
  const untilMs = scheduler.now() + webhooksMs
  const pending = async () => {
    const lists = ['rich', 'poor'].map((orgId) => deliveries.list({ ...all, orgId }))
    return (await Promise.all(lists)).flat()
  }
  for (let left = await pending(); left.length > 0; left = await pending()) {
    const dueMs = Math.min(...left.map(({ nextAttemptAtMs }) => nextAttemptAtMs))
    if (dueMs > untilMs) break
    scheduler.jump(Math.max(dueMs - scheduler.now(), 0))
    const goOnMs = scheduler.now() + 2_000
    while (scheduler.now() < goOnMs) await scheduler.step()
    if (scheduler.now() > untilMs) break
  }
  for (const orgId of ['rich', 'poor']) {
    const ended = await deliveries.list({ ...all, orgId, status: null })
    for (const { deliveryId, status, attempt } of ended) {
      if (status === 'pending') found('I7', deliveryId, 'was not delivered')
      if (status === 'delivered' && !taken.has(deliveryId)) {
        found('I7', deliveryId, 'counts as delivered, and no receiver took it')
      }
      if (status === 'parked' && nextAttemptDelayMs(attempt, 0) !== 'park') {
        found('I7', deliveryId, `was parked after ${attempt} attempts`)
      }
    }
  }
}
