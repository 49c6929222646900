import { expect, test } from '@jest/globals'
import { expectStatus, sandbox, type Client } from '../support/client.ts'
import { connect } from '../support/socket.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

// A herd of watchers who all lose their connections at once, again and again, while jobs run.

const used = useWeir({ isOwn: true })
const limitMs = 180_000
/** 3,000 elsewhere: `WEIR_HERD=3000`. */
const herd = Number(process.env['WEIR_HERD'] ?? 300)
const drops = 4
const jobCount = 6
const stepsPerJob = 30

/** What one of the herd knows: the revisions of its job that it was told, in that order. */
class Watcher {
  readonly seen: number[] = []
  readonly #jobId: string
  #open: Awaited<ReturnType<typeof connect>> | null = null
  #taken = 0

  constructor(jobId: string) {
    this.#jobId = jobId
  }

  /** Comes back and goes on after the last revision that it knows. */
  async resume(api: Client): Promise<void> {
    const socket = await connect(used.weir.baseUrl, api.token)
    this.#open = socket
    this.#taken = 0
    const ack = await socket.subscribe(`job:${this.#jobId}`, this.seen.at(-1) ?? -1)
    expect(ack).toMatchObject({ ok: true, recovered: true })
    for (const { revision } of ack.events ?? []) this.seen.push(revision)
  }

  /** Notes what came since, and loses the connection without a word. */
  drop(): void {
    this.look()
    this.#open?.raw.io.engine.close()
    this.#open = null
  }

  look(): void {
    const updates = this.#open?.updates ?? []
    for (const { revision } of updates.slice(this.#taken)) this.seen.push(revision)
    this.#taken = updates.length
  }
}

test(
  'everybody in a herd that drops and resumes sees each revision once, in order',
  async () => {
    const { api } = await used.newOrg({ credits: 1_000_000_000n })
    const jobs = await Promise.all(
      Array.from({ length: jobCount }, () =>
        api.submit(sandbox({ steps: stepsPerJob, stepMs: 200 })),
      ),
    )
    const watchers = Array.from(
      { length: herd },
      (_, at) => new Watcher(jobs[at % jobCount]?.jobId ?? ''),
    )
    const resume = async (): Promise<void> => {
      await Promise.all(watchers.map((watcher) => watcher.resume(api)))
    }
    await resume()
    for (let drop = 1; drop <= drops; drop += 1) {
      const progress = (watcher: Watcher): boolean => {
        watcher.look()
        return (watcher.seen.at(-1) ?? 0) >= (drop * stepsPerJob) / (drops + 1)
      }
      await waitFor('the herd to hear something', () => watchers.some(progress), 60_000)
      for (const watcher of watchers) watcher.drop()
      await resume()
    }
    const ends = new Map<string, number>()
    for (const { jobId } of jobs) {
      ends.set(jobId, (await api.until(jobId, 'succeeded', 60_000)).revision)
    }
    const last = Math.max(...ends.values())
    await waitFor('the herd to hear the end', () => {
      for (const watcher of watchers) watcher.look()
      return watchers.every(({ seen }) => seen.at(-1) === last)
    })
    const whole = Array.from({ length: last + 1 }, (_, revision) => revision)
    expect(watchers.filter(({ seen }) => String(seen) !== String(whole))).toEqual([])
    for (const watcher of watchers) watcher.drop()
    expectStatus(await api.get('/v1/balance'), 200)
  },
  limitMs,
)
