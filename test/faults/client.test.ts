import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Weir as Sdk } from '../../client/weir.ts'
import { sandbox } from '../support/client.ts'
import { startWeir, type Weir } from '../support/weir.ts'

// The SDK while processes of weir are killed.

const limitMs = 90_000
const kills = [
  ['api', 'SIGKILL'],
  ['worker', 'SIGKILL'],
  ['postgres', 'SIGKILL'],
  ['api', 'SIGTERM'],
  ['projector', 'SIGKILL'],
  ['api', 'SIGKILL'],
] as const

let weir: Weir
let sdk: Sdk

beforeAll(async () => {
  weir = await startWeir({ isPostgresEmbedded: true, env: { WEIR_LEASE_MS: '2000' } })
  const { baseUrl, apiKey } = weir.dev
  sdk = new Sdk({ baseUrl, apiKey })
}, limitMs)

afterAll(async () => {
  await weir.stop()
}, limitMs)

test(
  'watches and submits go on while each process of weir and Postgres are killed',
  async () => {
    const watched = async (): Promise<number[]> => {
      const { jobId } = await sdk.submit(sandbox({ steps: 30, stepMs: 150 }))
      const revisions: number[] = []
      for await (const { revision } of sdk.watch(jobId)) revisions.push(revision)
      expect(await sdk.job(jobId)).toMatchObject({
        status: 'succeeded',
        revision: revisions.at(-1),
      })
      return revisions
    }
    const running = Promise.all([watched(), watched(), watched()])
    const submitted: string[] = []
    for (const [name, signal] of kills) {
      const killed = weir.kill(name, signal)
      for (let each = 0; each < 3; each += 1) {
        submitted.push(
          (await sdk.submit(sandbox(), { idempotencyKey: `${submitted.length}` })).jobId,
        )
      }
      await killed
    }
    for (const revisions of await running) expect(revisions).toEqual(revisions.map((_, at) => at))
    const again = await Promise.all(
      submitted.map((_, at) => sdk.submit(sandbox(), { idempotencyKey: `${at}` })),
    )
    expect(again.map(({ jobId }) => jobId)).toEqual(submitted)
  },
  limitMs,
)
