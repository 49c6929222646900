import type { Json } from '../../domain/json.ts'
import type { Clock } from '../../domain/ports/clock.ts'
import type { ObjectStore } from '../../domain/ports/object-store.ts'
import type {
  HandlerContext,
  OpenedInput,
  StepContext,
  Units,
} from '../../workers/handlers/handler.ts'

/** What a job leaves behind, kept from one attempt to the next. */
export type JobTrace = {
  readonly steps: Map<string, Json>
  readonly calls: { provider: string; model: string | null; units: Units }[]
  readonly progress: number[]
}

export function emptyTrace(): JobTrace {
  return { steps: new Map(), calls: [], progress: [] }
}

export type AttemptOptions = {
  readonly input: unknown
  readonly objects: ObjectStore
  readonly clock: Clock
  readonly trace: JobTrace
  readonly attempt?: number
  readonly signal?: AbortSignal
  /** What `open` leads to. */
  readonly files?: ReadonlyMap<string, Buffer>
}

/** A handler's world without a log: what it stores, calls and tells is in `trace` and `objects`. */
export function handlerContext(options: AttemptOptions): HandlerContext<unknown> {
  const { input, objects, clock, trace, attempt = 1, files } = options
  const signal = options.signal ?? new AbortController().signal
  const call: StepContext['call'] = async (provider, run) => {
    signal.throwIfAborted()
    const idempotencyKey = `call-${trace.calls.length}`
    const { value, units, model } = await run({ idempotencyKey, signal })
    trace.calls.push({ provider: provider.provider, model: model ?? provider.model, units })
    return value
  }
  return {
    call,
    ...{ jobId: 'job-1', orgId: 'org-1', attempt, input, signal },
    progress: (percent) => {
      trace.progress.push(percent)
    },
    step: async (name, run) => {
      signal.throwIfAborted()
      const done = trace.steps.get(name)
      if (done !== undefined) return done as Awaited<ReturnType<typeof run>>
      const output = await run({ call })
      trace.steps.set(name, output)
      return output
    },
    store: (name, body, contentType) => {
      const key = `results/job-1/${attempt}/${name}`
      return objects.put(key, body, { contentType, bytesMax: 1e9 })
    },
    sleep: async (ms) => {
      await clock.sleep(ms, signal)
      signal.throwIfAborted()
    },
    open: async (ref) => opened(files?.get(ref) ?? Buffer.from(ref.split(',')[1] ?? '', 'base64')),
  }
}

function opened(bytes: Buffer): OpenedInput {
  async function* body() {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
  }
  return { contentType: 'application/octet-stream', bytes: bytes.length, body: body() }
}
