import 'reflect-metadata'
import { expect, test } from '@jest/globals'
import { accountStream } from '../../domain/account/account.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { SubmitJob, SubmitJobHandler } from '../../src/commands/submit-job.ts'
import type { Runtime } from '../../src/runtime.ts'
import { jobTypes } from '../../workers/handlers/registry.ts'
import { MemoryWeir } from '../support/memory-weir.ts'

const scale = 2
/** Beyond what stands in an event. */
const picture = `data:image/png;base64,${'A'.repeat(100_000)}`

async function open() {
  const weir = await new MemoryWeir().open()
  const { pipelines, clock, ids, limits, objects } = weir
  const parts = { pipelines, clock, ids, limits, objects, jobTypes }
  const handler = new SubmitJobHandler(parts as unknown as Runtime)
  const submit = async (jobId: string) => {
    const request = { type: 'image.upscale', input: { image: picture, scale } }
    return await handler.execute(new SubmitJob(jobId, request, weir.context('acme')))
  }
  return { weir, submit }
}

test('a large input is kept before the job that names it', async () => {
  const { weir, submit } = await open()
  const { state } = await submit('j1')
  expect(state.spec).toMatchObject({ input: null, inputKey: 'inputs/j1' })
  expect(await weir.objects.head('inputs/j1')).not.toBeNull()
})

test('a job that is refused leaves no input behind', async () => {
  const { weir, submit } = await open()
  const ban = { type: 'BanAccount' as const, reason: 'test', at: isoTime(weir.clock.now()) }
  await weir.pipelines.accounts.handle(accountStream('acme'), ban, weir.context('acme'))
  await expect(submit('j1')).rejects.toMatchObject({ code: 'account_banned' })
  expect(await weir.objects.head('inputs/j1')).toBeNull()
})
