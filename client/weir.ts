import type {
  Balance,
  BatchItem,
  ClientToken,
  Job,
  JobEvent,
  JobFilter,
  JobResult,
  NewJob,
  TokenRequest,
  Usage,
  UsageFilter,
} from './contract.ts'
import { platform } from './edge.ts'
import type { Edge } from './edge.ts'
import { WeirError } from './error.ts'
import { ask, list, repeat, request, send } from './request.ts'
import type { Access, Call, Limits, TokenSource } from './request.ts'
import { watchJob } from './watch.ts'
import type { WatchOptions } from './watch.ts'

/** An API key, or a client token: text, or a function that gets a fresh one. */
export type Credential =
  | { readonly apiKey: string; readonly token?: never }
  | { readonly token: string | TokenSource; readonly apiKey?: never }

export type WeirOptions = { readonly baseUrl: string } & Credential & Partial<Limits & Edge>

export type SubmitOptions = {
  /** Yours, when a repetition may come from another process: the same key is the same job. */
  readonly idempotencyKey?: string
  readonly signal?: AbortSignal
}

/** A result and where it came from. */
export type Download = JobResult & {
  /** Needs no key, for five minutes. */
  readonly downloadUrl: string
  /** As long as `bytes` and with `sha256`: both were checked. */
  readonly data: Uint8Array<ArrayBuffer>
}

/** An upload has one PUT of exactly this. */
type Slot = {
  readonly uploadId: string
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
}

const limits: Limits = { retryForMs: 30_000, timeoutMs: 30_000, reconnectForMs: 300_000 }

/**
 * weir, as one org or one user sees it. Requests are repeated while that is safe: after a lost
 * answer, a 5xx, a 429 that ends soon. What fails for good throws a WeirError.
 */
export class Weir {
  readonly #access: Access

  constructor({ baseUrl, ...options }: WeirOptions) {
    const { apiKey = '', token = apiKey, ...given } = options
    this.#access = {
      ...platform,
      ...limits,
      ...defined(given),
      baseUrl: new URL(baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`),
      token: typeof token === 'function' ? token : () => token,
      canRenew: typeof token === 'function',
    }
  }

  /**
   * Submits a job: once, however often the request has to be repeated.
   *
   * @param options.wait answer when the job has ended, or after this many seconds, 60 at most
   */
  async submit(
    job: NewJob,
    { wait, ...options }: SubmitOptions & { readonly wait?: number } = {},
  ): Promise<Job> {
    const waiting = wait === undefined ? {} : { waitSeconds: wait }
    return this.#post('v1/jobs', { body: job, ...waiting, ...options })
  }

  /** Submits up to 1000 jobs; each is accepted or refused by itself, in the same order. */
  async submitBatch(
    jobs: readonly NewJob[],
    options: SubmitOptions = {},
  ): Promise<readonly BatchItem[]> {
    const call = { body: { jobs }, ...options }
    const { items } = await this.#post<{ items: readonly BatchItem[] }>('v1/jobs/batch', call)
    return items
  }

  /** The job as it is now. */
  async job(jobId: string): Promise<Job> {
    return ask(this.#access, pathOf(jobId))
  }

  /** Jobs, newest first, page by page as they are asked for. */
  jobs(filter: JobFilter = {}): AsyncGenerator<Job, void, void> {
    return list(this.#access, 'v1/jobs', filter)
  }

  /** Cancels a queued job in the answer, a running one within about a second. */
  async cancel(jobId: string): Promise<Job> {
    return this.#post(`${pathOf(jobId)}/cancel`)
  }

  /** Queues a job again that failed, expired or was canceled; steps that are done stay done. */
  async retry(jobId: string): Promise<Job> {
    return this.#post(`${pathOf(jobId)}/retry`)
  }

  /** Every transition of a job, each once and in order, until its end; see `WatchOptions`. */
  watch(jobId: string, options: WatchOptions = {}): AsyncGenerator<JobEvent, void, void> {
    return watchJob(this.#access, jobId, options)
  }

  /**
   * Downloads the result of a job that succeeded, and checks it.
   *
   * @throws WeirError `conflict` when the job has not ended, `not_found` when it has no result,
   *   `corrupt_result` when what arrives is not what was stored
   */
  async result(jobId: string): Promise<Download> {
    const { retryForMs: forMs } = this.#access
    return repeat(this.#access, { forMs }, async () => {
      const { url, body } = await request(this.#access, `${pathOf(jobId)}/result`)
      const { result } = await this.job(jobId)
      if (result !== null && (await isWhole(body, result))) {
        return { ...result, downloadUrl: url, data: body }
      }
      const message = `What arrived is not the result of the job ${jobId}.`
      throw new WeirError({ status: 0, code: 'corrupt_result', message })
    })
  }

  /** Uploads bytes, and gives the id that an input names, for 24 hours. */
  async upload(data: Blob | Uint8Array<ArrayBuffer>, contentType: string): Promise<string> {
    const access = this.#access
    const bytes = 'size' in data ? data.size : data.byteLength
    // A URL takes one PUT: a repetition gets a new one.
    return repeat(access, { forMs: access.retryForMs }, async () => {
      const slot = await this.#post<Slot>('v1/uploads', { body: { contentType, bytes } })
      const { method, headers } = slot
      await send(access, slot.url, { method, headers, body: data })
      return slot.uploadId
    })
  }

  async balance(): Promise<Balance> {
    return ask(this.#access, 'v1/balance')
  }

  /** Metered calls, newest first, page by page as they are asked for. */
  usage(filter: UsageFilter = {}): AsyncGenerator<Usage, void, void> {
    return list(this.#access, 'v1/usage', filter)
  }

  /** Makes a client token, with which a browser may watch and read jobs. Needs an API key. */
  async token(asked: TokenRequest = {}): Promise<ClientToken> {
    return this.#post('v1/tokens', { body: asked })
  }

  async #post<T>(path: string, call: Call = {}): Promise<T> {
    return ask(this.#access, path, { ...call, method: 'POST' })
  }
}

/** Without what is undefined, which would be no limit where one is the default. */
function defined<T extends object>(options: T): T {
  const given = { ...options }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) Reflect.deleteProperty(given, name)
  }
  return given
}

const pathOf = (jobId: string): string => `v1/jobs/${encodeURIComponent(jobId)}`

/** Pages that came over plain http have no WebCrypto; there the length has to do. */
async function isWhole(data: Uint8Array<ArrayBuffer>, { bytes, sha256 }: JobResult) {
  if (data.byteLength !== bytes) return false
  if (!('subtle' in crypto)) return true
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data))
  return sha256 === Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

// The names of the package: users import them from here.
export { isFinished } from './contract.ts'
export { WeirError } from './error.ts'
export { isJobWebhook, verifyWebhook, WebhookError } from './webhook.ts'
export type { Connection, WatchOptions } from './watch.ts'
export type { TokenSource } from './request.ts'
export type { VerifyOptions, WebhookHeaders } from './webhook.ts'
export type {
  AlertWebhook,
  Balance,
  BatchItem,
  ClientToken,
  FieldError,
  Job,
  JobEvent,
  JobEventType,
  JobFailure,
  JobFilter,
  JobResult,
  JobStatus,
  JobWebhook,
  LimitUse,
  NewJob,
  Priority,
  Problem,
  Progress,
  TokenRequest,
  Usage,
  UsageFilter,
  WebhookEvent,
  WebhookJob,
} from './contract.ts'
