import { JobError } from '../job-error.ts'
import type { HandlerContext, JobTypeDefinition, StepContext } from './handler.ts'
import { defineJobType } from './job-type.ts'

const stepsMax = 1000
const stepMsMax = 600_000
const outputBytesMax = 100_000_000
const paddingChunkBytes = 64 * 1024

/** Input of `sandbox.run`. */
export type SandboxInput = {
  readonly steps: number
  readonly stepMs: number
  readonly fail?: {
    readonly atStep: number
    readonly times: number
    readonly code?: string
    readonly retryable?: boolean
  }
  readonly outputBytes?: number
}

type StepDone = { readonly step: number; readonly attempt: number }

const inputSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  required: ['steps', 'stepMs'],
  properties: {
    steps: {
      type: 'integer',
      minimum: 1,
      maximum: stepsMax,
      description: 'How many steps, each of them one priced call to the provider sandbox.',
    },
    stepMs: {
      type: 'integer',
      minimum: 0,
      maximum: stepMsMax,
      description: 'How long each step lasts, in milliseconds.',
    },
    fail: {
      type: 'object',
      additionalProperties: false,
      required: ['atStep', 'times'],
      description: 'Fails at a step, before its call.',
      properties: {
        atStep: {
          type: 'integer',
          minimum: 1,
          maximum: stepsMax,
          description: 'The step that fails; the first is 1.',
        },
        times: {
          type: 'integer',
          minimum: 0,
          maximum: stepsMax,
          description: 'So many attempts fail there, counted from the first attempt of the job.',
        },
        code: {
          type: 'string',
          pattern: '^[a-z][a-z0-9_]{0,63}$',
          default: 'sandbox_failure',
          description: 'a lower-case word of letters, digits and _, at most 64 characters',
        },
        retryable: { type: 'boolean', default: true },
      },
    },
    outputBytes: {
      type: 'integer',
      minimum: 0,
      maximum: outputBytesMax,
      default: 0,
      description: 'The result is padded to this size by a member padding.',
    },
  },
} as const

/** One call of one step; every estimate shares it. */
const oneCall = { provider: 'sandbox', model: null, units: { requests: '1' } } as const

const definition: JobTypeDefinition<SandboxInput> = {
  type: 'sandbox.run',
  title: 'Sandbox run',
  description:
    'Test mode: takes steps of a given length, fails where it is told to, and is priced per step.',
  inputSchema,
  maxAttempts: 5,
  providers: ['sandbox'],
  estimate: ({ steps }) => Array.from({ length: steps }, () => oneCall),
  run,
}

export const sandboxRun = defineJobType(definition)

async function run(context: HandlerContext<SandboxInput>) {
  const { steps, outputBytes = 0 } = context.input
  const done: StepDone[] = []
  for (let step = 1; step <= steps; step += 1) {
    done.push(await context.step(`step-${step}`, (calls) => runStep(context, calls, step)))
  }
  const body = encodeResult(done, outputBytes)
  return { object: await context.store('result.json', body, 'application/json') }
}

async function runStep(
  context: HandlerContext<SandboxInput>,
  calls: StepContext,
  step: number,
): Promise<StepDone> {
  const { attempt, input } = context
  failIfTold(input.fail, step, attempt)
  await calls.call(oneCall, async () => {
    if (input.stepMs > 0) await context.sleep(input.stepMs)
    return { value: null, units: oneCall.units }
  })
  // Within the step, so that the step's event carries it.
  const progress = Math.min(99, Math.floor((step * 100) / input.steps))
  context.progress(progress, `step ${step} of ${input.steps}`)
  return { step, attempt }
}

/**
 * The number of the attempt is the counter of failures, so there is no state beside the job. An
 * attempt that died before the step counts as one of the `times`; a requeued job counts on.
 */
function failIfTold(fail: SandboxInput['fail'], step: number, attempt: number): void {
  if (fail === undefined || fail.atStep !== step || attempt > fail.times) return
  throw new JobError({
    code: fail.code ?? 'sandbox_failure',
    message: `Step ${step} failed in attempt ${attempt}, as the input asks.`,
    retryable: fail.retryable ?? true,
  })
}

/**
 * `{ steps: [{ step, attempt }], outputBytes }`, with a member `padding` where that is needed to
 * make it exactly `outputBytes` long. Large ones are not held in memory.
 */
function encodeResult(steps: readonly StepDone[], outputBytes: number) {
  const plain = JSON.stringify({ steps, outputBytes })
  const head = `${plain.slice(0, -1)},"padding":"`
  const tail = '"}'
  const paddingBytes = outputBytes - head.length - tail.length
  // A few bytes short of the place for the member's name: white space is JSON too.
  if (paddingBytes < 0) return Buffer.from(plain.padEnd(outputBytes))
  if (paddingBytes <= paddingChunkBytes) {
    return Buffer.from(`${head}${'x'.repeat(paddingBytes)}${tail}`)
  }
  return paddedResult(head, paddingBytes, tail)
}

async function* paddedResult(head: string, paddingBytes: number, tail: string) {
  yield Buffer.from(head)
  const chunk = Buffer.alloc(paddingChunkBytes, 'x')
  for (let left = paddingBytes; left > 0; left -= chunk.length) yield chunk.subarray(0, left)
  yield Buffer.from(tail)
}
