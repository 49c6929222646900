import type { RecordedEvent } from '../../domain/envelope.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import type { Projection } from '../../projections/projection.ts'
import type { LastCarried, Profile } from '../profiles/profile.ts'

/** Events that a lag counts at most: to read more for a figure would make it worse. */
const lagEventsMax = 1_000
/** Pages in which the first event is looked for that a share has not handled. */
const pagesMax = 10

/** A reader of the log that keeps a checkpoint, or one for each share of the log. */
export type ConsumerStand = {
  readonly name: string
  /** Not handled yet; more than `lagEventsMax` are not counted. */
  readonly events: number
  readonly oldestMs: number
  readonly movedAtMs: number
}

export type ConsumerPorts = Pick<Profile, 'sql' | 'newFeed' | 'clock' | 'lastCarried'> & {
  readonly partitions: Pick<Profile['partitions'], 'shareOf'>
  readonly projections: readonly Projection[]
}

const checkpointsStatement = `
  SELECT split_part(name, '/', 1) AS name,
    substr(name, length(split_part(name, '/', 1)) + 2) AS share, position,
    (extract(epoch FROM updated_at) * 1000)::float8 AS "movedAtMs"
  FROM projection_checkpoint
  WHERE generation = 'live'
  ORDER BY 1, 2`

type Checkpoint = {
  readonly name: string
  /** Empty for what was carried as a whole. */
  readonly share: string
  readonly position: string
  readonly movedAtMs: number
}

/**
 * How far each reader of the log has come. What lies beyond the furthest of its shares is handled
 * by none of them. A share that stands further back is behind only when an event was carried in it
 * that it has not handled: it may just as well have had none for long.
 */
export async function standsOfConsumers(ports: ConsumerPorts): Promise<ConsumerStand[]> {
  const { sql, newFeed, lastCarried, projections } = ports
  const feed = newFeed()
  const carried = await lastCarried()
  const sharing = projections.filter(({ order }) => order === 'org').map(({ name }) => name)
  const rows = await sql<Checkpoint>('stand-consumers', checkpointsStatement, [])
  const missing = new Missing(ports, feed)
  const stands: ConsumerStand[] = []
  for (const [name, checkpoints] of byName(rows, carried.size > 0 ? sharing : [])) {
    const [furthest] = checkpoints.toSorted((a, b) => feed.compare(b.position, a.position))
    const until = furthest?.position ?? feed.start
    const late = [await missing.beyond(until)]
    for (const [share, last] of sharing.includes(name) ? carried : []) {
      const from = standOf(checkpoints, share) ?? feed.start
      if (feed.compare(last.position, from) <= 0) continue
      late.push(await missing.ofShare({ share, from, until, last }))
    }
    const events = Math.min(lagEventsMax, sum(late.map((lag) => lag.events)))
    const oldestMs = Math.max(...late.map((lag) => lag.oldestMs))
    stands.push({ name, events, oldestMs, movedAtMs: furthest?.movedAtMs ?? 0 })
  }
  return stands
}

/** Also those that have no checkpoint yet. */
function byName(rows: readonly Checkpoint[], names: readonly string[]) {
  const found = new Map(names.map((name): [string, Checkpoint[]] => [name, []]))
  for (const row of rows) found.set(row.name, [...(found.get(row.name) ?? []), row])
  return found
}

/** A share that was not carried by itself yet stands where the whole does. */
function standOf(checkpoints: readonly Checkpoint[], share: string): string | undefined {
  const of = (wanted: string) => checkpoints.find((each) => each.share === wanted)?.position
  return of(share) ?? of('')
}

type Lag = Pick<ConsumerStand, 'events' | 'oldestMs'>

type LateShare = {
  readonly share: string
  readonly from: string
  /** What lies beyond is counted for all shares. */
  readonly until: string
  readonly last: LastCarried
}

/** Reads what is not handled. Readers mostly stand at the same places: each is looked at once. */
class Missing {
  readonly #ports: ConsumerPorts
  readonly #feed: EventFeed
  readonly #known = new Map<string, Promise<readonly RecordedEvent[]>>()

  constructor(ports: ConsumerPorts, feed: EventFeed) {
    this.#ports = ports
    this.#feed = feed
  }

  async beyond(position: string): Promise<Lag> {
    const read = async () => (await this.#feed.readPage(position, lagEventsMax)).events
    return this.#lagOf(await this.#once(position, read))
  }

  async ofShare({ share, from, until, last }: LateShare): Promise<Lag> {
    const isCounted = (position: string): boolean => this.#feed.compare(position, until) <= 0
    const events = await this.#once(`${share} ${from}`, () => this.#firstOf(share, from))
    if (events.length > 0) return this.#lagOf(events.filter(({ position }) => isCounted(position)))
    // Far away behind others: one is certain.
    if (!isCounted(last.position)) return { events: 0, oldestMs: 0 }
    return { events: 1, oldestMs: last.at === null ? 0 : this.#ageOf(last.at) }
  }

  #once(key: string, read: () => Promise<readonly RecordedEvent[]>) {
    const reading = this.#known.get(key) ?? read()
    this.#known.set(key, reading)
    return reading
  }

  /** The first events of the share beyond a position, of one page. */
  async #firstOf(share: string, after: string): Promise<readonly RecordedEvent[]> {
    let from = after
    for (let pages = 0; pages < pagesMax; pages += 1) {
      const { events, position } = await this.#feed.readPage(from, lagEventsMax)
      const found = events.filter((event) => this.#ports.partitions.shareOf(event) === share)
      if (found.length > 0 || events.length === 0) return found
      from = position
    }
    return []
  }

  #lagOf(events: readonly RecordedEvent[]): Lag {
    const [oldest] = events
    return { events: events.length, oldestMs: oldest ? this.#ageOf(oldest.meta.at) : 0 }
  }

  #ageOf(at: string): number {
    return Math.max(0, this.#ports.clock.now() - Date.parse(at))
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
