import 'reflect-metadata'
import { beforeEach, expect, test } from '@jest/globals'
import { CancelJob, CancelJobHandler } from '../../src/commands/cancel-job.ts'
import { RetryJob, RetryJobHandler } from '../../src/commands/retry-job.ts'
import type { Runtime } from '../../src/runtime.ts'
import { jobTypes } from '../../workers/handlers/registry.ts'
import { MemoryWeir } from '../support/memory-weir.ts'

// What a client sends again with its Idempotency-Key, as the process died before it answered.

let weir: MemoryWeir
let runtime: Runtime
let jobId: string

beforeEach(async () => {
  weir = await new MemoryWeir().open()
  jobId = await weir.submit('sandbox.run')
  const { store, pipelines, clock, ids, limits, objects } = weir
  const settled = { jobId, held: '0', charged: '0', holds: 1 }
  const sql = async (name: string) => (name === 'job-credits' ? [settled] : [])
  const parts = { store, pipelines, clock, ids, limits, objects, jobTypes, sql }
  runtime = parts as unknown as Runtime
})

test('a cancel that has happened is no conflict with itself', async () => {
  const handler = new CancelJobHandler(runtime)
  const cancel = async (context: ReturnType<MemoryWeir['context']>) =>
    (await handler.execute(new CancelJob(jobId, context))).state.status
  const context = weir.context('acme')
  expect(await cancel(context)).toBe('canceled')
  expect(await cancel(context)).toBe('canceled')
  await expect(cancel(weir.context('acme'))).rejects.toMatchObject({ code: 'conflict' })
})

test('a retry that has happened is not made again, also when the job has ended since', async () => {
  await weir.cancel(jobId)
  const handler = new RetryJobHandler(runtime)
  const context = weir.context('acme')
  const retry = async () => (await handler.execute(new RetryJob(jobId, context))).state.status
  expect(await retry()).toBe('queued')
  expect(await retry()).toBe('queued')
  await weir.cancel(jobId)
  expect(await retry()).toBe('canceled')
  expect(weir.count('JobRequeued')).toBe(1)
})
