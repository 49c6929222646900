import { beforeEach, describe, expect, test } from '@jest/globals'
import { MemoryObjectStore } from '../../../infra/memory/object-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { sandboxRun } from '../../../workers/handlers/sandbox-run.ts'
import { emptyTrace, handlerContext, type JobTrace } from '../../support/handler-context.ts'

const oneCall = { provider: 'sandbox', model: null, units: { requests: '1' } }

let clock: SimulatedClock
let objects: MemoryObjectStore
let trace: JobTrace

beforeEach(() => {
  clock = new SimulatedClock()
  objects = new MemoryObjectStore({ baseUrl: 'http://x', secretKey: Buffer.alloc(32), clock })
  trace = emptyTrace()
})

function run(input: unknown, attempt = 1, signal = new AbortController().signal) {
  return sandboxRun.run(handlerContext({ input, objects, clock, trace, attempt, signal }))
}

async function resultOf(key: string): Promise<{ size: number; result: Record<string, unknown> }> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await objects.get(key)).body) chunks.push(chunk)
  const text = Buffer.concat(chunks)
  return { size: text.length, result: JSON.parse(text.toString()) }
}

describe('sandbox.run', () => {
  test('each step is durable, makes one call and is told', async () => {
    const { object } = await run({ steps: 3, stepMs: 0 })
    expect(object.contentType).toBe('application/json')
    const steps = [1, 2, 3].map((step) => ({ step, attempt: 1 }))
    expect((await resultOf(object.key)).result).toEqual({ steps, outputBytes: 0 })
    expect([...trace.steps.values()]).toEqual(steps)
    expect(trace.calls).toEqual([oneCall, oneCall, oneCall])
    expect(trace.progress).toEqual([33, 66, 99])
  })

  test('is estimated at one request per step', () => {
    expect(sandboxRun.estimate({ steps: 4, stepMs: 0 })).toEqual(Array(4).fill(oneCall))
  })

  test('a step lasts stepMs', async () => {
    const before = clock.now()
    const running = run({ steps: 3, stepMs: 400 })
    await clock.advance(1_199)
    expect(trace.calls).toHaveLength(2)
    await clock.advance(1)
    await running
    expect([trace.calls.length, clock.now() - before]).toEqual([3, 1_200])
  })

  test('fails at the step before its call so many times, then goes on where it was', async () => {
    const input = { steps: 4, stepMs: 0, fail: { atStep: 3, times: 2 } }
    const failure = { code: 'sandbox_failure', retryable: true }
    await expect(run(input, 1)).rejects.toMatchObject(failure)
    expect(trace.calls).toHaveLength(2)
    await expect(run(input, 2)).rejects.toMatchObject(failure)
    expect(trace.calls).toHaveLength(2)
    const { object } = await run(input, 3)
    const { steps } = (await resultOf(object.key)).result as { steps: { attempt: number }[] }
    expect(steps.map(({ attempt }) => attempt)).toEqual([1, 1, 3, 3])
    expect(trace.calls).toHaveLength(4)
  })

  test('fails with the code and kind it is told', async () => {
    const fail = { atStep: 1, times: 99, code: 'bad_prompt', retryable: false }
    const failing = run({ steps: 1, stepMs: 0, fail })
    await expect(failing).rejects.toMatchObject({ code: 'bad_prompt', retryable: false })
    expect(trace.calls).toEqual([])
  })

  test('ends as soon as its signal aborts', async () => {
    const stop = new AbortController()
    const running = run({ steps: 2, stepMs: 60_000 }, 1, stop.signal)
    await clock.advance(60_500)
    stop.abort(new Error('canceled'))
    await expect(running).rejects.toThrow('canceled')
    expect(trace.calls).toHaveLength(1)
  })

  test.each([46, 47, 50, 58, 59, 60, 61, 100, 65_000, 65_700, 1_000_000])(
    'the result has %i bytes when that is asked for, and is JSON',
    async (outputBytes) => {
      const { object } = await run({ steps: 1, stepMs: 0, outputBytes })
      const { size, result } = await resultOf(object.key)
      const least = { steps: [{ step: 1, attempt: 1 }], outputBytes }
      expect(size).toBe(Math.max(outputBytes, JSON.stringify(least).length))
      expect(result).toMatchObject(least)
    },
  )
})
