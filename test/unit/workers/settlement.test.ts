import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Loop } from '../../../workers/loop.ts'
import { settlement } from '../../../workers/settlement.ts'
import { sandboxRun } from '../../../workers/handlers/sandbox-run.ts'
import { callMicro, MemoryWeir } from '../../support/memory-weir.ts'
import { Life } from '../../support/mortal.ts'
import { jobTypeThat, stored } from '../../support/test-job-types.ts'

let weir: MemoryWeir

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  weir.startProjector()
  weir.startWorker({ jobTypes: [sandboxRun] })
})

afterEach(async () => {
  await weir.stop()
})

function startSettlement(life = new Life()): Loop {
  const { clock, ids, report, readModels, pipelines } = weir
  const store = life.port(readModels)
  const loop = settlement({ feed: weir.newFeed(), store, pipelines, clock, ids, report })
  loop.start()
  return loop
}

const settlements = () =>
  weir.log.events
    .filter(({ type }) => type === 'HoldSettled')
    .map(({ data }) => JSON.parse(data) as Record<string, string>)

const steps = (input: Record<string, unknown>) => ({ input: { steps: 2, stepMs: 10, ...input } })

describe('settlement', () => {
  test('frees what a job did not use, once, when it succeeds', async () => {
    const loop = weir.startSettlement()
    const before = (await weir.account()).posted
    const jobId = await weir.submit('sandbox.run', steps({}), 5)
    expect((await weir.account()).held).toBe(5n * callMicro)
    await weir.untilEnded(jobId)
    await weir.pass(1)
    const used = (2n * callMicro).toString()
    const left = (3n * callMicro).toString()
    expect(settlements()).toEqual([
      { holdId: jobId, jobId, chargedMicro: used, releasedMicro: left, outcome: 'succeeded' },
    ])
    const { held, posted } = await weir.account()
    expect([held, posted]).toEqual([0n, before - 2n * callMicro])
    expect(loop.name).toBe('settlement')
  })

  test('charges a failed job what its calls cost', async () => {
    weir.startSettlement()
    const fail = { atStep: 2, times: 1, retryable: false }
    const jobId = await weir.submit('sandbox.run', steps({ fail }), 5)
    await weir.untilEnded(jobId)
    await weir.pass(1)
    expect(settlements()).toMatchObject([{ outcome: 'failed', chargedMicro: callMicro.toString() }])
  })

  test('charges a job nothing that was canceled in the queue, or expired there', async () => {
    weir.startSettlement()
    const runAt = new Date(weir.clock.now() + 3_600_000).toISOString()
    const canceled = await weir.submit('sandbox.run', { ...steps({}), runAt })
    await weir.cancel(canceled)
    await weir.pass(1)
    expect(settlements()).toMatchObject([
      { jobId: canceled, outcome: 'canceled', chargedMicro: '0' },
    ])
    weir.startRescuer()
    const expired = await weir.submit('unknown.type', { deadlineSeconds: 5 })
    await weir.untilEnded(expired)
    await weir.pass(1)
    expect(settlements()[1]).toMatchObject({ jobId: expired, outcome: 'expired' })
    expect((await weir.account()).held).toBe(0n)
  })

  test('settles each hold of a job that was queued again', async () => {
    weir.startSettlement()
    const fail = { atStep: 2, times: 1, retryable: false }
    const jobId = await weir.submit('sandbox.run', steps({ fail }), 5)
    await weir.untilEnded(jobId)
    await weir.pass(1)
    await weir.requeue(jobId, 4)
    await weir.untilEnded(jobId)
    await weir.pass(1)
    const facts = settlements().map(({ holdId, chargedMicro, releasedMicro, outcome }) => {
      return [
        holdId,
        BigInt(chargedMicro!) / callMicro,
        BigInt(releasedMicro!) / callMicro,
        outcome,
      ]
    })
    expect(facts).toEqual([
      [jobId, 1n, 4n, 'failed'],
      [`${jobId}/1`, 1n, 3n, 'succeeded'],
    ])
  })

  test('settles the hold of the retry of a job that no worker ended', async () => {
    weir.startSettlement()
    const jobId = await weir.submit('unknown.type')
    await weir.cancel(jobId)
    await weir.requeue(jobId, 4)
    await weir.cancel(jobId)
    await weir.pass(1)
    expect(settlements().map(({ holdId, outcome }) => [holdId, outcome])).toEqual([
      [jobId, 'canceled'],
      [`${jobId}/1`, 'canceled'],
    ])
    expect((await weir.account()).held).toBe(0n)
  })

  test('does nothing when the whole log is replayed, or settled by two at once', async () => {
    for (let n = 0; n < 5; n += 1) await weir.submit('sandbox.run', steps({}))
    await weir.until('jobs to end', () => weir.count('JobSucceeded') === 5)
    const life = new Life()
    // The checkpoint never moves: every page comes again and again.
    life.before = ({ method }) =>
      method === 'commit' ? Promise.reject(new Error('not now')) : null
    const [stuck, healthy] = [startSettlement(life), startSettlement()]
    await weir.pass(10)
    expect(settlements()).toHaveLength(5)
    const { length } = weir.log.events
    await weir.pass(10)
    expect(weir.log.events).toHaveLength(length)
    await Promise.all([stuck, healthy].map((loop) => loop.stop(AbortSignal.abort())))
  })

  test('settles what the last one had read and not settled yet', async () => {
    const done = jobTypeThat('test.done', stored)
    const { life } = weir.startWorker({ jobTypes: [done] })
    life.endBefore = ({ args: [stream, , events] }) =>
      String(stream).startsWith('account-') && JSON.stringify(events).includes('HoldSettled')
    const jobId = await weir.submit('test.done', { input: {} })
    await weir.untilEnded(jobId)
    const first = startSettlement()
    // It still waits for the worker, which is dead.
    await weir.pass(0.1)
    await first.stop(AbortSignal.abort())
    expect(settlements()).toEqual([])
    const second = startSettlement()
    await weir.pass(1)
    expect(settlements()).toMatchObject([{ jobId, outcome: 'succeeded' }])
    await second.stop(AbortSignal.abort())
  })

  test('goes on where the last one stood', async () => {
    const first = startSettlement()
    const jobId = await weir.submit('sandbox.run', steps({}))
    await weir.untilEnded(jobId)
    await weir.pass(1)
    await first.stop(AbortSignal.abort())
    const second = await weir.submit('sandbox.run', steps({}))
    await weir.untilEnded(second)
    const reads: unknown[] = []
    const life = new Life()
    life.before = ({ method, args }) => {
      if (method === 'commit') reads.push((args[0] as { from: string | null }[])[0]?.from)
      return null
    }
    const next = startSettlement(life)
    await weir.pass(1)
    expect(settlements()).toHaveLength(2)
    expect(reads[0]).not.toBeNull()
    await next.stop(AbortSignal.abort())
  })
})
