import { expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import { jobStream } from '../../domain/job/job.ts'
import { expectProblem, expectStatus, sandbox } from '../support/client.ts'
import { testContext, withPipelines } from '../support/direct-pipelines.ts'
import { Gate } from '../support/gate.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const used = useWeir({ isOwn: true })

test('a submission that was given up is made afresh by the next one with its key', async () => {
  const { api, orgId } = await used.newOrg({ credits: 10_000_000n })
  const key = { 'idempotency-key': 'a' }
  const condition = "new.type = 'JobSubmitted'"
  const gate = await Gate.close(used.weir.databaseUrl, { table: 'event', condition })
  const first = api.post<JobView>('/v1/jobs', sandbox(), key)
  await gate.reached()
  const [hold] = await waitFor('the hold', async () => {
    const holds = await used.admin.all<{ jobId: string }>(`/v1/admin/holds?orgId=${orgId}`)
    return holds.length === 1 && holds
  })
  // What the rescuer does after a while. It waits until the late submission has lost its place.
  const givenUp = withPipelines(used.weir, async ({ jobs }) => {
    const command = { type: 'AbandonSubmission' as const, at: new Date().toISOString() }
    await jobs.handle(jobStream(hold?.jobId ?? ''), command, testContext(orgId))
  })
  // The late submission tries again, and may be there once more before the other one is.
  const progress = { isGivenUp: false }
  void givenUp.then(() => (progress.isGivenUp = true))
  await waitFor('the submission to be given up', async () => {
    await gate.lose()
    return progress.isGivenUp
  })
  await gate.open()
  expectProblem(await first, 503, 'unavailable')
  const again = expectStatus(await api.post<JobView>('/v1/jobs', sandbox(), key), 202)
  expect(again.jobId).not.toBe(hold?.jobId)
  expect(await api.finished(again)).toMatchObject({ status: 'succeeded' })
})
