import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { JobView } from '../../domain/job/job-view.ts'
import { runCli, type Ran } from '../support/cli.ts'
import { Client, sandbox } from '../support/client.ts'
import { clusterEngines, type ClusterEngines } from '../support/cluster-engines.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { receiveWebhooks, type WebhookReceiver } from '../support/webhook-receiver.ts'
import { startWeir, Weir, weirEnvironment } from '../support/weir.ts'

// A weir of one machine with a life behind it, in the middle of work, moves to a cluster.

const limitMs = 180_000
const nothing: ClusterEngines = { env: {}, stop: async () => undefined }

let source: Weir
let target: Weir
let engines: ClusterEngines
let database: TestDatabase
let receiver: WebhookReceiver
let folder: string
let file: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), `weir-test-${process.pid}-move-`))
  file = join(folder, 'log.jsonl')
  receiver = await receiveWebhooks()
  source = await startWeir({ engines: nothing })
  engines = await clusterEngines()
  database = await testDatabase()
}, limitMs)

afterAll(async () => {
  await target.stop()
  await source.stop()
  await receiver.close()
  rmSync(folder, { recursive: true })
}, limitMs)

/** The weir to be, with the key of the one that was; nothing of it runs yet. */
async function prepareTarget(): Promise<Weir> {
  const key = readFileSync(join(source.home, 'secret.key'), 'utf8').trim()
  const env = { ...engines.env, WEIR_SECRET_KEY: key }
  return new Weir(await weirEnvironment(env, database.url, folder), async () => {
    try {
      await database.close()
    } finally {
      await engines.stop()
    }
  })
}

async function succeed(weir: Weir, words: readonly string[]): Promise<string> {
  const ran: Ran = await runCli(weir, words)
  expect({ ...ran, stdout: '' }).toEqual({ code: 0, stdout: '', stderr: '' })
  return ran.stdout
}

test(
  'a weir moves to a cluster with its log, its objects and the work that was under way',
  async () => {
    const before = new Client(source.baseUrl, source.dev.apiKey)
    const webhook = { url: receiver.url }
    const ended = await Promise.all(
      Array.from({ length: 5 }, (_, n) => before.run(sandbox({ steps: n + 1 }, { webhook }))),
    )
    const told = 2 * ended.length
    await waitFor('start and end to be told', () => receiver.received.length === told)
    const done = await Promise.all(
      ended.map(({ jobId }) =>
        waitFor('the hold to be settled', async () => {
          const job = await before.job(jobId)
          return job.credits.held === '0' && job
        }),
      ),
    )
    const retried = await before.submit(sandbox({ fail: { atStep: 1, times: 1 } }))
    await before.finished(retried)
    const running = await before.submit(sandbox({ steps: 20, stepMs: 500 }))
    await before.until(running.jobId, 'running')
    await source.kill('parent')
    await source.kill('worker')
    await waitFor('the other roles to end', () => {
      return [...source.pids('api'), ...source.pids('projector')].length === 0
    })

    await succeed(source, ['export', file])
    await succeed(source, ['audit', 'verify', file])
    expect(await succeed(source, ['audit', 'replay'])).toMatch(/^No difference/m)

    target = await prepareTarget()
    const objects = join(source.home, 'objects')
    const imported = await succeed(target, ['import', file, '--objects', objects])
    expect(imported).toMatch(/^All \d+ are in the event store, in their order/m)
    expect(imported).toMatch(/; 1 running jobs are taken up\.$/m)
    const again = await succeed(target, ['import', file, '--objects', objects])
    expect(again).toMatch(/^(\d+) of them were there already\.\nAll \1 are/m)
    expect(again).toMatch(/^0 objects are copied, \d+ were there already\.$/m)
    expect(await succeed(target, ['audit', 'replay'])).toMatch(/^No difference/m)
    expect(await succeed(target, ['audit', 'verify', file, '--live'])).toMatch(/^Good/m)

    await target.start()
    const after = new Client(target.baseUrl, source.dev.apiKey)
    for (const job of done) {
      expect(await after.job(job.jobId)).toEqual(linkedTo(target, job))
      const { bytes, sha256 } = await after.download(job.jobId)
      expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
    }
    const finished = await after.finished(running, 60_000)
    expect(finished).toMatchObject({ status: 'succeeded', progress: 100 })
    expect((await after.run(sandbox({ fail: { atStep: 1, times: 1 } }))).status).toBe('succeeded')
    expect(receiver.received.length).toBe(told)
    expect(await succeed(target, ['doctor', '--verify', '--live'])).toMatch(/Nothing is wrong/)
    expect(target.faultsSince(0)).toEqual([])
  },
  limitMs,
)

/** Links have the address of the weir that is asked. */
function linkedTo(weir: Weir, job: JobView): JobView {
  return JSON.parse(JSON.stringify(job).replaceAll(source.baseUrl, weir.baseUrl)) as JobView
}
