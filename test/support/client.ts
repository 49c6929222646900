import { createHash } from 'node:crypto'
import { expect } from '@jest/globals'
import type { Balance } from '../../src/queries/get-credits.ts'
import type { UsageView } from '../../src/queries/list-usage.ts'
import type { ErrorCode } from '../../domain/errors.ts'
import type { JobEventView, JobView } from '../../domain/job/job-view.ts'
import { waitFor } from './wait-for.ts'

const requestLimitMs = 20_000

/** What came back; `json` is null when the body is none. */
export interface Answer<T> {
  readonly status: number
  readonly headers: Headers
  readonly json: T
  readonly text: string
  readonly bytes: Buffer
}

export interface CallOptions {
  readonly body?: unknown
  /** Sent as it is, instead of `body` as JSON. */
  readonly raw?: string | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface Page<T> {
  readonly items: readonly T[]
  readonly nextCursor: string | null
}

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  readonly requestId: string
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
  readonly [extra: string]: unknown
}

/** A job type and its input, and whatever else goes into `POST /v1/jobs`. */
export interface JobBody {
  readonly type: string
  readonly input: object
  readonly [member: string]: unknown
}

/** Talks HTTP to weir as one caller. A status never throws; methods with a meaning expect one. */
export class Client {
  readonly baseUrl: string
  readonly token: string | undefined

  constructor(baseUrl: string, token?: string) {
    this.baseUrl = baseUrl
    this.token = token
  }

  async call<T = unknown>(
    method: string,
    path: string,
    { body, raw, headers, signal }: CallOptions = {},
  ): Promise<Answer<T>> {
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const limit = AbortSignal.timeout(requestLimitMs)
    const response = await fetch(/^https?:/.test(path) ? path : `${this.baseUrl}${path}`, {
      method,
      redirect: 'manual',
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      headers: {
        ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
        ...(text === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(text === undefined ? {} : { body: text }),
    })
    const bytes = Buffer.from(await response.arrayBuffer())
    const answered = bytes.toString('utf8')
    const { status } = response
    const json = parse(answered) as T
    return { status, headers: response.headers, json, text: answered, bytes }
  }

  async get<T = unknown>(path: string, headers: Readonly<Record<string, string>> = {}) {
    return await this.call<T>('GET', path, { headers })
  }

  async post<T = unknown>(
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ) {
    return await this.call<T>('POST', path, { body, headers })
  }

  /** Submits, expects 202, gives the job. */
  async submit(body: JobBody, headers: Readonly<Record<string, string>> = {}): Promise<JobView> {
    return expectStatus(await this.post<JobView>('/v1/jobs', body, headers), 202)
  }

  async job(jobId: string): Promise<JobView> {
    return expectStatus(await this.get<JobView>(`/v1/jobs/${jobId}`), 200)
  }

  /** Waits until the job has the status. */
  async until(jobId: string, status: JobView['status'], limitMs = 15_000): Promise<JobView> {
    let last: JobView | undefined
    const probe = async (): Promise<JobView | undefined> => {
      last = await this.job(jobId)
      if (last.status === status) return last
      if (isFinished(last) && !isFinished({ status })) throw new Error(`it is ${last.status}`)
      return undefined
    }
    return await waitFor(`job ${jobId} to be ${status}`, probe, limitMs).catch((error: unknown) => {
      throw new Error(`${String(error)}\nThe job is ${JSON.stringify(last)}`)
    })
  }

  /** Waits until the job is finished, however it ends. */
  async finished({ jobId }: { readonly jobId: string }, limitMs = 15_000): Promise<JobView> {
    const probe = async (): Promise<JobView | undefined> => {
      const job = await this.job(jobId)
      return isFinished(job) ? job : undefined
    }
    return await waitFor(`job ${jobId} to finish`, probe, limitMs)
  }

  /** Submits and waits until the job is finished. */
  async run(body: JobBody): Promise<JobView> {
    return await this.finished(await this.submit(body))
  }

  async cancel(jobId: string): Promise<Answer<JobView>> {
    return await this.post<JobView>(`/v1/jobs/${jobId}/cancel`)
  }

  async retry(jobId: string): Promise<Answer<JobView>> {
    return await this.post<JobView>(`/v1/jobs/${jobId}/retry`)
  }

  async events(jobId: string): Promise<readonly JobEventView[]> {
    return await this.all<JobEventView>(`/v1/jobs/${jobId}/events`)
  }

  /** Follows the redirect to the result, which must work without a header. */
  async download(jobId: string): Promise<{ bytes: Buffer; sha256: string; contentType: string }> {
    const { status, headers } = await this.get(`/v1/jobs/${jobId}/result`)
    expect(status).toBe(302)
    const found = await new Client(this.baseUrl).get(headers.get('location') ?? '')
    expect(found.status).toBe(200)
    const { bytes } = found
    return { bytes, sha256: sha256(bytes), contentType: found.headers.get('content-type') ?? '' }
  }

  async balance(): Promise<Balance> {
    return expectStatus(await this.get<Balance>('/v1/balance'), 200)
  }

  /** Every item of a paged list. */
  async all<T>(path: string, limit = 100): Promise<T[]> {
    const items: T[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const url = new URL(path, this.baseUrl)
      url.searchParams.set('limit', String(limit))
      if (cursor !== '') url.searchParams.set('cursor', cursor)
      const page: Page<T> = expectStatus(await this.get<Page<T>>(url.href), 200)
      items.push(...page.items)
      expect(page.nextCursor).not.toBe(cursor)
      cursor = page.nextCursor
    }
    return items
  }

  /**
   * Waits until the read models have seen the end of everything: `count` usage rows, nothing held,
   * and posted less by exactly what the rows charge.
   */
  async billed(startMicro: bigint, count: number, jobId?: string): Promise<Bill> {
    let bill: Bill | undefined
    const probe = async (): Promise<Bill | undefined> => {
      const usage = await this.all<UsageView>(`/v1/usage${jobId ? `?jobId=${jobId}` : ''}`)
      const charged = usage.reduce((sum, row) => sum + BigInt(row.chargedMicro), 0n)
      const balance = await this.balance()
      bill = { usage, charged, balance }
      const agrees = balance.held === '0' && BigInt(balance.posted) === startMicro - charged
      return agrees && usage.length === count ? bill : undefined
    }
    return await waitFor(`${count} usage rows and the balance to agree`, probe, 10_000).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}\nFrom ${startMicro}: ${show(bill)}`)
      },
    )
  }
}

export interface Bill {
  readonly usage: readonly UsageView[]
  readonly charged: bigint
  readonly balance: Balance
}

/** A customer of weir: an org with a key of its own. */
export interface Org {
  readonly orgId: string
  readonly keyId: string
  readonly api: Client
}

export interface OrgOptions {
  /** Micro-credits of its one grant. */
  readonly credits?: bigint
  readonly overdraft?: bigint
}

/** Opens an org through the admin API, with a key and, unless it is 0, a grant. */
export async function newOrg(admin: Client, options: OrgOptions = {}): Promise<Org> {
  const { credits = 10_000_000n, overdraft } = options
  const body = { name: 'org', ...(overdraft === undefined ? {} : { overdraft: String(overdraft) }) }
  const { orgId } = expectStatus(await admin.post<{ orgId: string }>('/v1/admin/orgs', body), 201)
  const path = `/v1/admin/orgs/${orgId}`
  const key = await admin.post<{ keyId: string; apiKey: string }>(`${path}/keys`, { name: 'key' })
  const { keyId, apiKey } = expectStatus(key, 201)
  if (credits > 0n) {
    const grant = { amount: String(credits), kind: 'promo', reason: 'test' }
    expectStatus(await admin.post(`${path}/grants`, grant), 201)
  }
  return { orgId, keyId, api: new Client(admin.baseUrl, apiKey) }
}

/** `sandbox.run` with short steps. */
export function sandbox(input: object = {}, rest: object = {}): JobBody {
  return { type: 'sandbox.run', input: { steps: 2, stepMs: 0, ...input }, ...rest }
}

/** Expects the answer to be a problem document that says this. */
export function expectProblem(answer: Answer<unknown>, status: number, code: ErrorCode): Problem {
  const problem = answer.json as Problem
  const contentType = answer.headers.get('content-type')?.split(';')[0]
  expect({ status: answer.status, contentType, problem }).toEqual({
    status,
    contentType: 'application/problem+json',
    problem: expect.objectContaining({
      type: expect.stringContaining(code),
      title: expect.stringMatching(/\S/),
      status,
      detail: expect.stringMatching(/\S/),
      code,
      requestId: answer.headers.get('x-request-id'),
    }),
  })
  return problem
}

/** Expects success or a problem document that blames the request; nothing in between. */
export function expectNoFault(answer: Answer<unknown>, what: string): void {
  const { status, headers } = answer
  const isProblem = (headers.get('content-type') ?? '').startsWith('application/problem+json')
  const isFine = status < 400 || (status < 500 && (isProblem || answer.bytes.length === 0))
  if (!isFine) throw new Error(`${what}: ${status} ${answer.text.slice(0, 500)}`)
}

export function expectStatus<T>(answer: Answer<T>, status: number): T {
  if (answer.status === status) return answer.json
  throw new Error(`Expected ${status}, got ${answer.status}: ${answer.text.slice(0, 1_000)}`)
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function isFinished({ status }: Pick<JobView, 'status'>): boolean {
  return status !== 'queued' && status !== 'running'
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function show(bill: Bill | undefined): string {
  return JSON.stringify(bill, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  )
}
