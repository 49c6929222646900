import type { AccountEvent, HoldSettled } from '../../domain/account/account-events.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import type { JobState } from '../../domain/job/job.ts'
import type { RecordedEvent } from '../../domain/envelope.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import type { AccountDecider, JobDecider, Mutation } from './mutation.ts'

/** A port of which some methods are other ones. */
function replaced<Port extends object>(port: Port, methods: Partial<Port>): Port {
  return new Proxy(port, {
    get: (target, key) => {
      const other: unknown = Reflect.get(methods, key)
      if (other !== undefined) return other
      const member: unknown = Reflect.get(target, key, target)
      return typeof member === 'function' ? (member.bind(target) as unknown) : member
    },
  })
}

/** An account that does a thing again when it is asked for again. */
function repeating(type: AccountCommand['type']) {
  return (decider: AccountDecider): AccountDecider => {
    const done = new Map<string, readonly AccountEvent[]>()
    return {
      ...decider,
      decide: (state, command) => {
        const events = decider.decide(state, command)
        if (command.type !== type) return events
        const id = 'holdId' in command ? command.holdId : JSON.stringify(usageIdOf(command))
        if (events.length === 0) return done.get(id) ?? []
        done.set(id, events)
        return events
      },
    }
  }
}

function usageIdOf(command: AccountCommand): string {
  return command.type === 'RecordUsage' ? command.usage.usageId : command.type
}

function deciding(change: (state: JobState, command: { type: string }) => JobState) {
  return (decider: JobDecider): JobDecider => ({
    ...decider,
    decide: (state, command) => decider.decide(change(state, command), command),
  })
}

type Settled = HoldSettled['data']

/** An account that settles in another way. */
function settling(change: (settled: Settled) => Settled) {
  return (decider: AccountDecider): AccountDecider => ({
    ...decider,
    decide: (state, command) =>
      decider.decide(state, command).map((event) => {
        return event.type === 'HoldSettled' ? { ...event, data: change(event.data) } : event
      }),
  })
}

/** Shows no end of a job that no worker ended: the worker settles what it ends itself. */
function forgetfulFeed(feed: EventFeed): EventFeed {
  return replaced(feed, {
    readPage: async (after, limit) => {
      const page = await feed.readPage(after, limit)
      const isShown = ({ type, meta }: RecordedEvent): boolean =>
        meta.actor === 'worker' || !/^Job(Succeeded|Failed|Canceled|Expired)$/.test(type)
      const events = page.events.filter(isShown)
      // A page without events would look like the end of the log.
      return { ...page, events: events.length > 0 ? events : page.events }
    },
  })
}

/** Planted bugs, by what they are. Each of them must be found. */
export const mutations: Readonly<Record<string, Mutation>> = {
  'the epoch of a write is not checked': {
    jobs: deciding((state, command) =>
      'epoch' in command && 'epoch' in state && command.type !== 'StartJob'
        ? { ...state, epoch: Number(command.epoch) }
        : state,
    ),
  },
  'a hold is settled as often as one asks': { accounts: repeating('SettleHold') },
  'a hold is made as often as one asks': { accounts: repeating('HoldCredits') },
  'usage is booked as often as one tells': { accounts: repeating('RecordUsage') },
  'outputs of steps are forgotten': {
    jobs: (decider) => ({
      ...decider,
      evolve: (state, event) => {
        const next = decider.evolve(state, event)
        return 'steps' in next ? { ...next, steps: next.steps.clear() } : next
      },
    }),
  },
  'a lost lease makes a canceled job wait for another attempt': {
    jobs: deciding((state, command) =>
      command.type === 'EndAttempt' && 'steps' in state
        ? { ...state, cancelRequested: false }
        : state,
    ),
  },
  'an append takes any revision': {
    events: (store, log) =>
      replaced(store, {
        append: (stream, _expected, events) =>
          store.append(stream, (log.streams.get(stream)?.length ?? 0) - 1, events),
      }),
  },
  'a lease is given back without a revision': {
    leases: (leases) =>
      replaced(leases, {
        release: (released) => leases.release(released.map((one) => ({ ...one, revision: 0 }))),
      }),
  },
  'leases that ran out are not found': {
    leases: (leases) => replaced(leases, { expired: async () => [] }),
  },
  'a checkpoint moves without its rows': {
    rows: (store) => {
      let commits = 0
      return replaced(store, {
        commit: (moves, changes, generation) => {
          commits += 1
          return store.commit(moves, commits % 10 === 0 ? [] : changes, generation)
        },
      })
    },
  },
  'settlement passes over some ends': { settlementFeed: forgetfulFeed },
  'a repeated request makes another job': {
    idempotency: (store) =>
      replaced(store, {
        begin: async (request) => {
          const begun = await store.begin(request)
          return begun.kind === 'go' ? { ...begun, subjectId: request.subjectId } : begun
        },
      }),
  },
  'a repeated request is not recognised': {
    idempotency: (store) =>
      replaced(store, {
        begin: async ({ subjectId }) => ({ kind: 'go', subjectId, lockedUntil: 0 }),
      }),
  },
  'a webhook counts as delivered before it is sent': {
    transport: (transport) =>
      replaced(transport, {
        send: async () => ({ kind: 'answered', httpStatus: 204, retryAfter: null }),
      }),
  },
  'a webhook counts as delivered when its receiver refused it': {
    transport: (transport) =>
      replaced(transport, {
        send: async (...sent) => {
          await transport.send(...sent)
          return { kind: 'answered', httpStatus: 204, retryAfter: null }
        },
      }),
  },
  'a webhook is given up at the first refusal': {
    transport: (transport) =>
      replaced(transport, {
        send: async (...sent) => {
          const answer = await transport.send(...sent)
          const isRefused = answer.kind === 'answered' && answer.httpStatus >= 300
          return isRefused ? { ...answer, httpStatus: 410 } : answer
        },
      }),
  },
  'an account is asked for more than it has': {
    accounts: (decider) => ({
      ...decider,
      decide: (state, command) => {
        const isHold = command.type === 'HoldCredits'
        return decider.decide(isHold ? { ...state, posted: 10n ** 12n } : state, command)
      },
    }),
  },
  'a settlement charges what was held': {
    accounts: settling(({ chargedMicro, releasedMicro, ...settled }) => {
      const all = BigInt(chargedMicro) + BigInt(releasedMicro)
      return { ...settled, chargedMicro: all.toString(), releasedMicro }
    }),
  },
  'a settlement frees nothing': {
    accounts: settling((settled) => ({ ...settled, releasedMicro: '0' })),
  },
  'each run of a job ends the hold of its first one': {
    jobs: (decider) => ({
      ...decider,
      decide: (state, command) =>
        decider.decide(state, command).map((event) => {
          if (!('holdId' in event.data)) return event
          const [holdId = ''] = event.data.holdId.split('/')
          return { ...event, data: { ...event.data, holdId } } as typeof event
        }),
    }),
  },
  'an append is answered before it is written, and some are lost': {
    events: (store) => {
      let appends = 0
      return replaced(store, {
        append: async (stream, expected, events) => {
          appends += 1
          if (appends % 20 === 0) return expected + events.length
          return store.append(stream, expected, events)
        },
      })
    },
  },
  'a lease is given before its job may run': {
    leases: (leases) =>
      replaced(leases, { claim: (claim) => leases.claim({ ...claim, now: claim.now + 60_000 }) }),
  },
  'a usage is charged to no grant': {
    accounts: (decider) => ({
      ...decider,
      decide: (state, command) =>
        decider.decide(state, command).map((event) => {
          if (event.type !== 'UsageRecorded') return event
          return { ...event, data: { ...event.data, allocations: [] } }
        }),
    }),
  },
  'the last row of a page is lost': {
    rows: (store) =>
      replaced(store, {
        commit: (moves, changes, generation) => {
          const cut = changes.map((change) => {
            return change.put.length > 2 ? { ...change, put: change.put.slice(0, -1) } : change
          })
          return store.commit(moves, cut, generation)
        },
      }),
  },
  'an answer is forgotten as soon as it is given': {
    idempotency: (store) => {
      const locks = new Map<string, number>()
      return replaced(store, {
        begin: async (request) => {
          const begun = await store.begin(request)
          if (begun.kind === 'go') locks.set(request.scope, begun.lockedUntil)
          return begun
        },
        complete: async (scope) => {
          await store.abandon(scope, locks.get(scope) ?? 0)
        },
      })
    },
  },
}
