import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Client, newOrg, sandbox } from '../support/client.ts'
import {
  ownClusterEngines,
  type ClusterEngines,
  type OwnEngines,
} from '../support/cluster-engines.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWeir, type Weir } from '../support/weir.ts'

// S3 is away for longer than all attempts of a job take, were they failures.

const limitMs = 300_000
/** A job of this type fails for good with its fifth failure. */
const attemptsMax = 5

let engines: ClusterEngines & OwnEngines
let weir: Weir

beforeAll(async () => {
  engines = await ownClusterEngines()
  weir = await startWeir({ engines })
}, limitMs)

afterAll(async () => {
  await weir.stop()
}, limitMs)

test(
  'a job whose result cannot be stored waits until it can be, and is paid once',
  async () => {
    const { api } = await newOrg(new Client(weir.baseUrl, weir.dev.adminToken))
    await engines.s3.kill()
    const { jobId } = await api.submit(sandbox({ steps: 2, stepMs: 0 }))
    const attemptsBegun = async (): Promise<number> =>
      (await api.events(jobId)).filter(({ type }) => type === 'job.started').length
    await waitFor(
      'more attempts than may fail',
      async () => (await attemptsBegun()) > attemptsMax,
      120_000,
    )
    expect(await api.job(jobId)).toMatchObject({ status: expect.stringMatching(/queued|running/) })
    await engines.s3.start()
    const isOver = async (): Promise<boolean> => (await api.job(jobId)).status === 'succeeded'
    await waitFor('the job to succeed', isOver, 90_000)
    const events = await api.events(jobId)
    expect(events.filter(({ type }) => type === 'job.step_completed')).toHaveLength(2)
    expect((await api.job(jobId)).credits).toEqual({ held: '0', charged: '20000' })
  },
  limitMs,
)
