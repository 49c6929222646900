import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import type { JobEventView, JobView } from '../../domain/job/job-view.ts'
import { Client, expectStatus, newOrg, sandbox, type Org } from './client.ts'
import { expectInvariants } from './invariants.ts'
import { waitFor } from './wait-for.ts'
import { receiveWebhooks, type WebhookReceiver } from './webhook-receiver.ts'
import type { Weir, WeirProcess } from './weir.ts'

const startMicro = 1_000_000_000n
const pauseMs = 150
const burstSize = 25
const stepsMax = 4
const replaysMax = 25
const recoveryLimitMs = 90_000
/** The promise: so long after the last fault nothing is left to do, ms. */
const drainLimitMs = 30_000

/** A submission: what the customer asked, and what it was answered at last. */
export interface Order {
  readonly key: string
  readonly steps: number
  jobId: string | undefined
}

/**
 * Customers who order jobs whatever happens to weir, and who know what they ordered. What was
 * accepted has to end once, paid once, with its result whole; and nothing that was not accepted may
 * have happened.
 */
export class Shop {
  readonly #weir: Weir
  readonly #org: Org
  readonly #hook: WebhookReceiver
  readonly #orders: Order[] = []
  readonly #placing: Promise<void>[] = []
  /** Ends the customers' patience when a test has failed. */
  readonly #leaving = new AbortController()
  #isOpen = true

  private constructor(weir: Weir, org: Org, hook: WebhookReceiver) {
    this.#weir = weir
    this.#org = org
    this.#hook = hook
  }

  /** Customers come at once, and one after the other until the shop closes. */
  static async open(weir: Weir, customers: number): Promise<Shop> {
    const org = await newOrg(new Client(weir.baseUrl, weir.dev.adminToken), { credits: startMicro })
    const shop = new Shop(weir, org, await receiveWebhooks())
    shop.#begin(Array.from({ length: customers }, () => shop.#customer()))
    return shop
  }

  get api(): Client {
    return this.#org.api
  }

  /** How many jobs were ordered, with every repetition of an order counted once. */
  get size(): number {
    return this.#orders.length
  }

  /** Sends the customers home, and whoever still waits for an answer. */
  async leave(): Promise<void> {
    this.#isOpen = false
    this.#leaving.abort()
    await Promise.allSettled(this.#placing)
    await this.#hook.close()
  }

  /** Waits until work goes on: what was killed is there again, and steps are done and paid. */
  async recovered(): Promise<void> {
    await waitFor('weir to be ready', () => this.#isReady(), recoveryLimitMs)
    const before = (await waitFor('usage to be told', () => this.#usage(), recoveryLimitMs)).calls
    const goesOn = async (): Promise<boolean> => ((await this.#usage())?.calls ?? 0) > before + 5
    await waitFor('steps to be done', goesOn, recoveryLimitMs)
  }

  /**
   * Kills in the middle of a burst, all at the same time: some requests are on their way in, some
   * jobs between steps. Where it hits is chance; the invariants hold wherever it does.
   */
  async killUnderLoad(...names: readonly WeirProcess[]): Promise<void> {
    const kills = names.map((name) => async () => await this.#weir.kill(name))
    await this.breakUnderLoad(...kills)
  }

  /** The same for whatever else can be broken. */
  async breakUnderLoad(...breaks: readonly (() => Promise<void>)[]): Promise<void> {
    this.#burst()
    await waitFor('jobs to run', async () => {
      const page = await this.api.get<{ items: unknown[] }>('/v1/jobs?status=running&limit=1')
      return page.status === 200 && page.json.items.length > 0
    })
    this.#burst()
    await Promise.all(breaks.map(async (each) => await each()))
  }

  /**
   * Closes, waits until every order is answered and nothing is left to do, and expects that this
   * takes no longer than weir promises. Call it as soon as the last fault has healed.
   */
  async expectDrainInTime(): Promise<void> {
    this.#isOpen = false
    const healedAt = performance.now()
    await Promise.all(this.#placing)
    const leftMs = (): number => Math.max(drainLimitMs - (performance.now() - healedAt), 0)
    await waitFor('every job to end', () => this.#areJobsOver(), leftMs())
    await waitFor('every hold to be settled', () => this.#areHoldsSettled(), leftMs())
    await waitFor('every webhook', () => this.#told().size === this.size, leftMs())
    expect(performance.now() - healedAt).toBeLessThan(drainLimitMs)
  }

  /** What the customers know, against what weir says; then weir against itself. */
  async expectExactly(): Promise<void> {
    await this.#expectOneJobPerOrder()
    await this.#expectExactBill()
    for (const order of this.#orders) await this.#expectWholeJob(order)
    // At least once each; those that come again have the same id.
    expect([...this.#told().values()].filter(({ size }) => size !== 1)).toEqual([])
    expect(this.#weir.log).not.toContain('has missed an event')
    await expectInvariants(this.#weir)
  }

  #begin(placing: readonly Promise<void>[]): void {
    for (const each of placing) {
      // Whoever closes the shop meets the failure; until then nobody looks.
      each.catch(() => undefined)
      this.#placing.push(each)
    }
  }

  #burst(): void {
    this.#begin(Array.from({ length: burstSize }, () => this.#place()))
  }

  async #customer(): Promise<void> {
    while (this.#isOpen) {
      await this.#place()
      await sleep(pauseMs)
    }
  }

  #bodyOf({ steps }: Order) {
    const webhook = { url: this.#hook.url, events: ['job.succeeded'] }
    return sandbox({ steps, stepMs: 100, outputBytes: 100_000 }, { webhook })
  }

  /** Does what a careful client does: repeats, with the same key, until there is an answer. */
  async #place(): Promise<void> {
    const number = this.#orders.length
    const order: Order = {
      key: `order-${number}`,
      steps: 1 + (number % stepsMax),
      jobId: undefined,
    }
    this.#orders.push(order)
    while (!this.#leaving.signal.aborted) {
      const headers = { 'idempotency-key': order.key }
      const answer = await this.api
        .post<JobView>('/v1/jobs', this.#bodyOf(order), headers)
        .catch(() => undefined)
      if (answer?.status === 202) {
        order.jobId = answer.json.jobId
        return
      }
      // Not there, not ready, or the first request with this key is still taken to be in work. An
      // engine that is away is no error of weir's own: 500 is never right.
      const mayRepeat = answer === undefined || [409, 503].includes(answer.status)
      if (!mayRepeat) throw new Error(`${order.key}: ${answer.status} ${answer.text}`)
      await sleep(pauseMs)
    }
  }

  async #isReady(): Promise<boolean> {
    const answer = await this.api.get('/readyz').catch(() => undefined)
    return answer?.status === 200
  }

  /** Undefined while weir cannot tell. */
  async #usage(): Promise<{ calls: number } | undefined> {
    const path = '/v1/usage/summary'
    const answer = await this.api.get<{ items: { calls: number }[] }>(path).catch(() => undefined)
    return answer?.status === 200 ? (answer.json.items[0] ?? { calls: 0 }) : undefined
  }

  async #areJobsOver(): Promise<boolean> {
    const open = ['queued', 'running'].map((status) => this.api.all(`/v1/jobs?status=${status}`))
    return (await Promise.all(open)).flat().length === 0
  }

  async #areHoldsSettled(): Promise<boolean> {
    const admin = new Client(this.#weir.baseUrl, this.#weir.dev.adminToken)
    return (await admin.all(`/v1/admin/holds?orgId=${this.#org.orgId}`)).length === 0
  }

  /** The ids of the webhooks that came, by job. */
  #told(): ReadonlyMap<string, ReadonlySet<unknown>> {
    const ids = new Map<string, Set<unknown>>()
    for (const { body, headers } of this.#hook.received) {
      const known = ids.get(body.data.jobId) ?? new Set()
      ids.set(body.data.jobId, known.add(headers['webhook-id']))
    }
    return ids
  }

  async #expectOneJobPerOrder(): Promise<void> {
    const jobIds = this.#orders.map(({ jobId }) => jobId)
    expect(new Set(jobIds).size).toBe(this.size)
    const listed = await this.api.all<JobView>('/v1/jobs')
    expect(listed.map(({ jobId }) => jobId).sort()).toEqual([...jobIds].sort())
    expect(listed.filter(({ status }) => status !== 'succeeded')).toEqual([])
    for (const order of this.#orders.slice(0, replaysMax)) {
      const headers = { 'idempotency-key': order.key }
      const again = await this.api.post<JobView>('/v1/jobs', this.#bodyOf(order), headers)
      expect(expectStatus(again, 202).jobId).toBe(order.jobId)
      expect(again.headers.get('idempotent-replayed')).toBe('true')
    }
  }

  async #expectExactBill(): Promise<void> {
    const steps = this.#orders.reduce((sum, order) => sum + order.steps, 0)
    const { usage } = await this.api.billed(startMicro, steps)
    expect(new Set(usage.map(({ usageId }) => usageId)).size).toBe(steps)
    const rows = new Map<string, number>()
    for (const { jobId } of usage) rows.set(jobId, (rows.get(jobId) ?? 0) + 1)
    const unlike = this.#orders.filter(({ jobId = '', steps: due }) => rows.get(jobId) !== due)
    expect(unlike).toEqual([])
  }

  async #expectWholeJob({ jobId = '', steps }: Order): Promise<void> {
    const events = await this.api.events(jobId)
    expect(events.map(({ revision }) => revision)).toEqual(events.map((_, index) => index))
    const types = events.map(({ type }) => type)
    const ends = types.filter((type) => /^job\.(succeeded|failed|canceled|expired)$/.test(type))
    expect({ jobId, ends, last: types.at(-1) }).toEqual({
      ...{ jobId, ends: ['job.succeeded'], last: 'job.succeeded' },
    })
    expect(types.filter((type) => type === 'job.step_completed')).toHaveLength(steps)
    await this.#expectWholeResult(events.at(-1)!, steps)
  }

  async #expectWholeResult({ job }: JobEventView, steps: number): Promise<void> {
    const { bytes, sha256 } = await this.api.download(job.jobId)
    expect({ bytes: bytes.length, sha256 }).toEqual({
      bytes: job.result?.bytes,
      sha256: job.result?.sha256,
    })
    const result = JSON.parse(bytes.toString('utf8')) as { steps: { step: number }[] }
    expect(result.steps.map(({ step }) => step)).toEqual(
      Array.from({ length: steps }, (_, index) => index + 1),
    )
  }
}
