/** One limit on what runs at the same time, as the read model `concurrency_limit` keeps it. */
export type ConcurrencyLimit = {
  readonly scope: 'org' | 'user' | 'provider' | 'jobType'
  /** Null for each of them. */
  readonly key: string | null
  readonly max: number
  /** An override holds until then, and comes before a limit without an end. */
  readonly until: string | null
}

/** A job that wants to run, or some that do. */
export type Runner = {
  readonly orgId: string
  readonly userId: string | null
  readonly jobType: string
}

/** Those of an org that cannot run now: all of it, a user, a job type. */
export type Blocked = {
  readonly orgs: string[]
  readonly users: string[]
  readonly types: string[]
}

type Slot = { readonly name: string; readonly max: number; readonly scope: string }

/** Separates an org's id from what is its own in a name; no id contains it. */
const separator = '|'

/** Counts what runs against the limits of each org. */
export class Slots {
  readonly #limits: ReadonlyMap<string, readonly ConcurrencyLimit[]>
  readonly #providers: ReadonlyMap<string, readonly string[]>
  readonly #now: string
  readonly #used = new Map<string, number>()
  readonly #blocked = {
    orgs: new Set<string>(),
    users: new Set<string>(),
    types: new Set<string>(),
  }

  /** @param providers whom the jobs of each type call */
  constructor(
    limits: ReadonlyMap<string, readonly ConcurrencyLimit[]>,
    providers: ReadonlyMap<string, readonly string[]>,
    now: number,
  ) {
    this.#limits = limits
    this.#providers = providers
    this.#now = new Date(now).toISOString()
  }

  /** Counts jobs that run already. */
  occupy(runner: Runner, count: number): void {
    for (const { name } of this.#slotsOf(runner)) {
      this.#used.set(name, (this.#used.get(name) ?? 0) + count)
    }
  }

  /** Counts the job if each of its limits has room; otherwise remembers who is in its way. */
  take(runner: Runner): boolean {
    const slots = this.#slotsOf(runner)
    const full = slots.find(({ name, max }) => (this.#used.get(name) ?? 0) >= max)
    if (!full) {
      this.occupy(runner, 1)
      return true
    }
    const { orgId, userId, jobType } = runner
    if (full.scope === 'org') this.#blocked.orgs.add(orgId)
    else if (full.scope === 'user') this.#blocked.users.add(orgId + separator + (userId ?? ''))
    else this.#blocked.types.add(orgId + separator + jobType)
    return false
  }

  /** Who was found to have no room. */
  get blocked(): Blocked {
    const { orgs, users, types } = this.#blocked
    return { orgs: [...orgs], users: [...users], types: [...types] }
  }

  #slotsOf({ orgId, userId, jobType }: Runner): readonly Slot[] {
    const limits = this.#limits.get(orgId)
    if (!limits) return []
    const values = [
      ['org', ''] as const,
      ...(userId === null ? [] : [['user', userId] as const]),
      ['jobType', jobType] as const,
      ...(this.#providers.get(jobType) ?? []).map((name) => ['provider', name] as const),
    ]
    return values.flatMap(([scope, value]) => {
      const limit = this.#strongest(limits, scope, value)
      const name = [orgId, scope, value].join(separator)
      return limit ? [{ name, max: limit.max, scope }] : []
    })
  }

  /** An override before a lasting limit, and one for this one before one for each. */
  #strongest(limits: readonly ConcurrencyLimit[], scope: string, value: string) {
    const rank = ({ key, until }: ConcurrencyLimit) =>
      (until === null ? 0 : 2) + (key === null ? 0 : 1)
    return limits
      .filter((limit) => limit.scope === scope && (limit.key === null || limit.key === value))
      .filter(({ until }) => until === null || until > this.#now)
      .sort((a, b) => rank(b) - rank(a))[0]
  }
}
