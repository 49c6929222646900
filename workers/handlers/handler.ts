import type { Json, JsonObject } from '../../domain/json.ts'
import type { StoredObject } from '../../domain/ports/object-store.ts'

/** Amounts by unit, as the price book names them: decimal strings, e.g. `{ requests: '1' }`. */
export type Units = Readonly<Record<string, string>>

/** Whom a call goes to, as the price book knows it. */
export type ProviderCall = { readonly provider: string; readonly model: string | null }

/** What a call delivered. The units are what it is paid by. */
export type CallOutcome<T> = {
  readonly value: T
  readonly units: Units
  /** When the provider answered with another model than was asked for. */
  readonly model?: string | null
}

/** One call that an input will make at most, priced by admission. */
export type EstimatedCall = ProviderCall & { readonly units: Units }

/** What the provider's client is given: the key makes a repeated request the same request. */
export type CallContext = { readonly idempotencyKey: string; readonly signal: AbortSignal }

/** The bytes that a reference in an input leads to. */
export type OpenedInput = {
  readonly contentType: string
  readonly bytes: number
  readonly body: AsyncIterable<Uint8Array>
}

/** What the work of a step is given: its calls are numbered within it. */
export type StepContext = {
  /** Wraps one paid call: limits, deadline, metrics, and one usage record when it has delivered. */
  call<T>(call: ProviderCall, run: (context: CallContext) => Promise<CallOutcome<T>>): Promise<T>
}

/**
 * What a handler is given for one attempt. Every method rejects once `signal` aborts; a handler
 * lets that rejection pass.
 */
export type HandlerContext<Input> = {
  readonly jobId: string
  readonly orgId: string
  /** From 1, counted on through requeues. */
  readonly attempt: number
  readonly input: Input
  /** Aborts on cancel, deadline, lost lease and shutdown. */
  readonly signal: AbortSignal

  /**
   * Tells how far the job is. Cheap: the runner decides what is passed on.
   *
   * @param percent 0 to 99; 100 is said by success alone
   */
  progress(percent: number, message?: string): void

  /**
   * Runs once per job: a later attempt gets the stored value. The name is unique within the job.
   * Calls that belong to the step are made through it.
   */
  step<T extends Json>(name: string, run: (step: StepContext) => Promise<T>): Promise<T>

  /** Wraps one paid call: limits, deadline, metrics, and one usage record when it has delivered. */
  call<T>(call: ProviderCall, run: (context: CallContext) => Promise<CallOutcome<T>>): Promise<T>

  /** Stores a result of this attempt, whole or not at all. */
  store(
    name: string,
    body: AsyncIterable<Uint8Array> | Uint8Array,
    contentType: string,
  ): Promise<StoredObject>

  /** Resolves after `ms`; rejects when the signal aborts. */
  sleep(ms: number): Promise<void>

  /**
   * Opens an upload id, https URL or data URL named by the customer.
   *
   * @throws JobError when it does not lead anywhere or may not be fetched
   */
  open(ref: string): Promise<OpenedInput>
}

/** What a job came to: the object that the customer downloads, and small facts beside it. */
export type JobOutcome = { readonly object: StoredObject; readonly outputs?: JsonObject }

/** What a job type tells of itself; listed by `GET /v1/job-types`. */
export type JobTypeFacts = {
  /** `<what>.<does>`: the name in requests, events and metrics. */
  readonly type: string
  readonly title: string
  readonly description: string
  /** JSON Schema, draft 2020-12. */
  readonly inputSchema: JsonObject
  readonly maxAttempts: number
  /** Members of the input that may hold an upload id or an https URL: checked at submission. */
  readonly uploads?: readonly string[]
  /** Whom it calls: their prices are listed with the job type. */
  readonly providers: readonly string[]
  /** At most so many at a time in one worker process. */
  readonly concurrencyMax?: number
}

/** One job type as its file writes it. Input that reaches it has passed `inputSchema`. */
export type JobTypeDefinition<Input> = JobTypeFacts & {
  /** Every call the job can make at most: their price is held when the job is admitted. */
  readonly estimate: (input: Input) => readonly EstimatedCall[]
  /** @throws JobError */
  readonly run: (context: HandlerContext<Input>) => Promise<JobOutcome>
}
