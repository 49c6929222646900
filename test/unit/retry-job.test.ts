import 'reflect-metadata'
import { expect, test } from '@jest/globals'
import { RetryJob, RetryJobHandler } from '../../src/commands/retry-job.ts'
import type { Runtime } from '../../src/runtime.ts'
import { enabledJobTypes } from '../../workers/handlers/registry.ts'
import { MemoryWeir } from '../support/memory-weir.ts'

test('a job whose type is gone is not queued again: it would wait for ever, and hold', async () => {
  const weir = await new MemoryWeir().open()
  const jobId = await weir.submit('sandbox.run')
  await weir.cancel(jobId)
  const { store, pipelines, clock, ids, limits, objects } = weir
  const settled = { jobId, held: '0', charged: '0', holds: 1 }
  const sql = async (name: string) => (name === 'job-credits' ? [settled] : [])
  const jobTypes = enabledJobTypes({ sandbox: false })
  const parts = { store, pipelines, clock, ids, limits, objects, jobTypes, sql }
  const handler = new RetryJobHandler(parts as unknown as Runtime)
  const held = weir.count('CreditsHeld')
  const retry = handler.execute(new RetryJob(jobId, weir.context('acme')))
  const message = 'The job type sandbox.run is not here any more.'
  await expect(retry).rejects.toMatchObject({ code: 'conflict', message })
  expect([weir.count('JobRequeued'), weir.count('CreditsHeld')]).toEqual([0, held])
})
