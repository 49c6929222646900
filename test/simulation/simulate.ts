import { callMicro, Clients } from './clients.ts'
import type { Wanted } from './clients.ts'
import { checkEnd } from './end-checks.ts'
import type { Mutation } from './mutation.ts'
import type { Outcome } from './outcome.ts'
import { Random } from './random.ts'
import { World } from './world.ts'

/** So long things begin to fail, ms of simulated time. */
const troubleMs = 15_000
/** Longest time that a process stands still, ms; a lease lasts 15 s. */
const pauseMsMax = 40_000
/**
 * So long it may take then until nothing is left to do, ms: a process comes back (8 s), a lease
 * ends (15 s), attempts are repeated (1 + 2 + 4 + 8 s), a key is unlocked (60 s), and a hold whose
 * job never came is given back (70 s).
 */
const drainMsMax = 240_000
/** From then on nothing may need to be rescued any more, ms after the last fault. */
const calmAfterMs = 10_000
/** A run that takes more steps goes in circles. */
const stepsMax = 400_000
/** How often the end is looked for. */
const lookEverySteps = 20

/** One run of everything. The seed alone decides what happens in it. */
export async function simulate(seed: number, mutation: Mutation = {}): Promise<Outcome> {
  const random = new Random(seed)
  const world = new World(random, mutation)
  const clients = new Clients(world)
  const { scheduler, violations, watch, log } = world
  startProcesses(world)
  planWork(world, clients)
  planTrouble(world)
  await runUntilDrained(world, clients)
  if (violations.length === 0) await checkEnd(world, clients)
  return {
    ...{ seed, violations, trail: world.trail, traceHash: scheduler.traceHash() },
    ...{ steps: scheduler.steps, events: log.events.length },
    accepted: [...watch.jobs.values()].length,
    written: countByType(log.events),
  }
}

function countByType(events: readonly { readonly type: string }[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { type } of events) counts.set(type, (counts.get(type) ?? 0) + 1)
  return counts
}

function startProcesses(world: World): void {
  const { random } = world
  const counts = { api: 2, worker: random.between(1, 3), projector: random.between(1, 2) }
  for (const role of ['api', 'worker', 'projector'] as const) {
    for (let number = 1; number <= counts[role]; number += 1) world.start(`${role}${number}`, role)
  }
}

function planWork(world: World, clients: Clients): void {
  const { random, scheduler, found } = world
  /** Whatever customers run into but refusals is a bug. */
  const act = (what: string, work: () => Promise<unknown>): void => {
    work().catch((error: unknown) => found('I1', what, String(error)))
  }
  const later = (what: string, work: () => Promise<unknown>, ms = troubleMs): void => {
    scheduler.after(random.between(0, ms), what, () => act(what, work))
  }
  const orgs = new Map([
    ['rich', callMicro * 1_000n],
    ['poor', callMicro * BigInt(random.between(3, 12))],
  ])
  act('prepare', async () => {
    await clients.prepare(orgs)
    const count = random.between(3, 10)
    for (let number = 1; number <= count; number += 1) {
      const wanted = draw(world, `key ${number}`)
      const { key } = wanted
      later(`submit ${key}`, () => clients.submit(wanted))
      if (random.chance(0.3)) later(`submit ${key} again`, () => clients.submit(wanted))
      const meant = (run: (jobId: string) => Promise<void>) => async () => {
        const jobId = clients.accepted.get(key)
        if (jobId !== undefined) await run(jobId)
      }
      if (random.chance(0.3))
        later(
          `cancel ${key}`,
          meant((jobId) => clients.cancel(jobId)),
        )
      for (let retries = random.between(0, 3); retries > 0; retries -= 1) {
        later(
          `retry ${key}`,
          meant((jobId) => clients.retry(jobId)),
        )
      }
    }
  })
}

function draw({ random }: World, key: string): Wanted {
  const plan = {
    steps: random.between(1, 4),
    stepMs: random.pick([0, 50, 500, 4_000]),
    failures: random.pick([0, 0, 1, 2]),
    isDoomed: random.chance(0.2),
  }
  return {
    ...{ key, plan, orgId: random.pick(['rich', 'poor']) },
    webhookUrl: random.chance(0.4) ? 'https://hooks.test/weir' : null,
    deadlineSeconds: random.chance(0.2) ? random.between(2, 30) : null,
  }
}

function planTrouble(world: World): void {
  const { random, scheduler, faults, running } = world
  const { crashes, pauses, jumps } = faults.kinds
  const anyTime = (what: string, times: number, run: () => void): void => {
    for (let left = times; left > 0; left -= 1) {
      scheduler.after(random.between(0, troubleMs), what, run)
    }
  }
  anyTime('crash', crashes ? random.between(1, 6) : 0, () => {
    if (running.size > 0) world.crash(random.pick([...running.keys()]))
  })
  let healMs = troubleMs
  for (let left = pauses ? random.between(1, 3) : 0; left > 0; left -= 1) {
    // Longer than a lease, or not; whoever wakes up finds a world that others have moved.
    const [fromMs, ms] = [random.between(0, troubleMs), random.between(1_000, pauseMsMax)]
    healMs = Math.max(healMs, fromMs + ms)
    scheduler.after(fromMs, 'pause', () => pauseOne(world, ms))
  }
  anyTime('jump', jumps ? random.between(1, 2) : 0, () => {
    scheduler.jump(random.between(1_000, 90_000))
  })
  scheduler.after(healMs, 'healing', () => {
    faults.heal()
    for (const { process } of running.values()) process.resume()
    world.watch.healedAtMs = scheduler.now() + calmAfterMs
  })
}

function pauseOne({ random, scheduler, running }: World, ms: number): void {
  // Workers hold leases: what they do after a pause matters most.
  const role = random.chance(0.7) ? 'worker' : 'projector'
  const names = [...running.keys()].filter((name) => name.startsWith(role))
  const process = names.length > 0 ? running.get(random.pick(names))?.process : undefined
  process?.pause()
  scheduler.after(ms, 'resume', () => process?.resume())
}

/** Steps until all is done, looking at what is written at each step. */
async function runUntilDrained(world: World, clients: Clients): Promise<void> {
  const { scheduler, watch, violations, found } = world
  while (violations.length === 0) {
    await scheduler.step()
    for (const { stream, revision, type } of watch.look()) {
      scheduler.trace(`+ ${stream} ${revision} ${type}`)
    }
    if (scheduler.steps > stepsMax) found('I14', 'the loops', 'go in circles')
    if (watch.healedAtMs === Infinity || scheduler.steps % lookEverySteps !== 0) continue
    if (scheduler.now() < watch.healedAtMs) continue
    if (await isDrained(world, clients)) return
    const overMs = scheduler.now() - watch.healedAtMs
    if (overMs > drainMsMax) {
      found('I14', 'the backlog', `is not drained ${overMs} ms after the last fault`)
    }
  }
}

async function isDrained(world: World, clients: Clients): Promise<boolean> {
  const { watch, rows, log } = world
  if (clients.open > 0) return false
  if ([...watch.jobs.values()].some(({ check }) => check.isLive)) return false
  for (const { holds } of watch.accounts.values()) {
    if ([...holds.values()].some(({ isSettled }) => !isSettled)) return false
  }
  const head = String(log.events.length)
  for (const { name, version } of world.projections()) {
    if ((await rows.checkpoint(name, version, 'live')) !== head) return false
  }
  return true
}
