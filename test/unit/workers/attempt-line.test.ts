import { expect, test } from '@jest/globals'
import { attemptFields } from '../../../src/roles/worker.ts'
import { MemoryWeir } from '../../support/memory-weir.ts'

test.each([
  ['failed', 'provider_down'],
  ['queued', 'provider_down'],
  ['canceled', undefined],
  ['lease_lost', undefined],
  ['succeeded', undefined],
] as const)('the line of an attempt that is %s has the error code %s', async (outcome, code) => {
  const weir = await new MemoryWeir().open()
  const state = await weir.job(await weir.submit('sandbox.run'))
  const error = { code: 'provider_down', message: 'No.', retryable: true }
  const fields = attemptFields({ job: { ...state, error }, epoch: 1, ms: 5, outcome })
  expect(fields).toMatchObject({ outcome, jobId: state.spec.jobId, latencyMs: 5 })
  expect(fields.errorCode).toBe(code)
})
