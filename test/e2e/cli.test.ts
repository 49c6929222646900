import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, afterAll, expect, test } from '@jest/globals'
import { runCli, runCliInto } from '../support/cli.ts'
import { Client, newOrg, sandbox } from '../support/client.ts'
import { waitFor } from '../support/wait-for.ts'
import { receiveWebhooks, type WebhookReceiver } from '../support/webhook-receiver.ts'
import { isClusterTested, startWeir, type Weir } from '../support/weir.ts'

const limitMs = 120_000

let weir: Weir
let receiver: WebhookReceiver

beforeAll(async () => {
  receiver = await receiveWebhooks()
  weir = await startWeir({ isPostgresEmbedded: true })
}, limitMs)

afterAll(async () => {
  await weir.stop()
  await receiver.close()
}, limitMs)

const run = async (words: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  await runCli(weir, words, env)

test('submits a job, follows it, and tells with its exit code how it ended', async () => {
  const input = JSON.stringify({ steps: 1, stepMs: 0 })
  const good = await run(['job', 'submit', 'sandbox.run', '--input', input, '--watch'])
  expect(good).toMatchObject({ code: 0, stderr: '' })
  expect(good.stdout).toMatch(/^[0-9a-f-]{36}\n(.*\n)*.*job\.succeeded\n$/)
  const fail = { steps: 1, stepMs: 0, fail: { atStep: 1, times: 9, retryable: false } }
  const bad = await run(['job', 'submit', 'sandbox.run', '--input', JSON.stringify(fail)])
  const jobId = bad.stdout.trim()
  const watched = await run(['job', 'watch', jobId])
  expect(watched.code).toBe(1)
  expect(watched.stdout).toContain('job.failed  Step 1 failed in attempt 1')
  expect((await run(['job', 'retry', jobId])).stdout).toBe(`${jobId} is queued.\n`)
})

test('why tells one story of a job: attempts, calls, money and webhooks', async () => {
  const { api } = await newOrg(new Client(weir.baseUrl, weir.dev.adminToken))
  const webhook = { url: receiver.url, events: ['job.succeeded'] }
  const fail = { atStep: 2, times: 1 }
  const { jobId } = await api.run(sandbox({ steps: 2, fail }, { webhook }))
  await waitFor('the webhook', () => receiver.received.length > 0)
  const told = await waitFor(
    'the webhook in the story',
    async () => {
      const { stdout } = await run(['job', 'why', jobId])
      return stdout.includes('webhook delivered') && stdout.includes('settled') && stdout
    },
    20_000,
  )
  const order = [
    ...['held', 'submitted', 'attempt 1 started', 'provider call', 'attempt 1 ended'],
    ...['attempt 2 started', 'provider call', 'succeeded', 'settled'],
  ]
  let from = 0
  for (const what of order) {
    const at = told.indexOf(what, from)
    expect({ what, isThere: at >= 0 }).toEqual({ what, isThere: true })
    from = at + 1
  }
  expect(told).toContain('sandbox_failure')
  expect(told).toMatch(/It succeeded after 2 of at most 5 attempts/)
  const short = await run(['why', jobId, '--json'])
  const entries = JSON.parse(short.stdout) as { kind: string }[]
  expect(entries.filter(({ kind }) => kind === 'call')).toHaveLength(2)
})

test('the doctor finds a running weir well, and every invariant in order', async () => {
  const answer = await waitFor(
    'a quiet weir',
    async () => {
      const looked = await run(['doctor', '--verify'])
      return looked.code === 0 && looked
    },
    20_000,
  )
  expect(answer.stdout).toContain('every invariant holds')
  expect(answer.stdout).toContain('Nothing is wrong.')
  // On a cluster several processes count, each its own shares of the log.
  const counters = /ok {4}I15 +the counters of \d+ events are what it says/
  if (!isClusterTested) expect(answer.stdout).toMatch(counters)
  expect(answer.stdout).not.toContain(weir.dev.apiKey)
})

test('an export holds against the root of the day and the live log', async () => {
  const [log, root] = [join(weir.home, 'log.ndjson'), join(weir.home, 'root.json')]
  expect(await run(['audit', 'root', root])).toMatchObject({ code: 0, stderr: '' })
  expect(await run(['audit', 'export', log])).toMatchObject({ code: 0, stderr: '' })
  const good = await run(['audit', 'verify', log, '--root', root, '--live'])
  expect(good).toMatchObject({ code: 0, stderr: '' })
  expect(good.stdout).toMatch(/All that the root of \d{4}-\d\d-\d\d has is there, unchanged\./)
  writeFileSync(root, readFileSync(root, 'utf8').replace('"prev":"0', '"prev":"1'))
  const changed = await run(['audit', 'verify', log, '--root', root])
  expect(changed).toMatchObject({ code: 1, stdout: '' })
  expect(changed.stderr).toMatch(/is no audit root, or was changed\.\n$/)
  const none = await run(['audit', 'root', join(weir.home, 'none.json'), '--day', '1999-12-31'])
  expect(none.stderr).toBe('There is no root of 1999-12-31 yet.\n')
})

test('the doctor finds a key that others may read', async () => {
  // The key of a cluster comes from the environment.
  const key = join(weir.home, isClusterTested ? 'dev.json' : 'secret.key')
  chmodSync(key, 0o644)
  const { code, stdout } = await run(['doctor'])
  chmodSync(key, 0o600)
  expect(code).toBe(1)
  expect(stdout).toMatch(/FAIL {2}secrets .*mode 644/)
})

test('rebuilds a read model while weir runs, and refuses one that is work to do', async () => {
  expect(await run(['rebuild', 'balance'])).toMatchObject({ code: 0, stderr: '' })
  const refused = await run(['rebuild', 'webhook_outbox'])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/^webhook_outbox cannot be rebuilt: .*\.\n$/)
  const unknown = await run(['rebuild', 'nothing'])
  expect(unknown.code).toBe(2)
  expect(unknown.stderr).toMatch(/^There is no read model nothing; there are .*balance.*\.\n/)
})

test('opens an org that can pay', async () => {
  const [orgId = '', apiKey = ''] = (await run(['org', 'create', 'Acme', '--key'])).stdout.split(
    '\n',
  )
  const granted = await run(['org', 'grant', orgId, '5000000', '--reason', 'welcome'])
  expect(granted).toMatchObject({ code: 0, stderr: '' })
  const api = new Client(weir.baseUrl, apiKey)
  await waitFor('the balance', async () => (await api.balance()).available === '5000000')
})

test('what cannot be done is one sentence and an exit code', async () => {
  const home = join(tmpdir(), 'weir-that-is-not-there')
  const nowhere = await run(['job', 'why', 'x'], { WEIR_HOME: home })
  expect(nowhere).toMatchObject({ code: 1, stdout: '' })
  expect(nowhere.stderr).toMatch(/^There is no database in .*\.\n$/)
  expect(existsSync(home)).toBe(false)
  const silent = await run(['job', 'retry', 'x'], { WEIR_URL: 'http://127.0.0.1:9' })
  expect(silent.stderr).toBe('weir does not answer at http://127.0.0.1:9; is it running?\n')
  expect(await run(['nonsense'])).toMatchObject({ code: 2 })
  expect((await run(['job', 'why'])).stderr).toMatch(/^<jobId> is missing\.\nUsage: weir job why/)
  const wrong = await run(['job', 'submit', 'sandbox.run', '--nope'])
  expect(wrong).toMatchObject({ code: 2, stdout: '' })
  const torn = await run(['org', 'grant', 'x', '500', '000', '--reason', 'welcome'])
  expect(torn.code).toBe(2)
  expect(torn.stderr).toMatch(/^`000` is one argument too many\./)
})

test('help of a command or of a group is an answer, and says what its options do', async () => {
  for (const word of ['--help', '-h']) {
    const group = await run(['job', word])
    expect(group).toMatchObject({ code: 0, stderr: '' })
    expect(group.stdout).toContain('job submit <type>')
    expect(group.stdout).not.toContain('org create')
    const command = await run(['doctor', word])
    expect(command).toMatchObject({ code: 0, stderr: '' })
    expect(command.stdout).toMatch(/^ {2}--live {5}with --verify: \w/m)
  }
  expect(await run(['job', 'nonsense', '--help'])).toMatchObject({ code: 2 })
})

const testWithFullDisk = existsSync('/dev/full') ? test : test.skip

testWithFullDisk('an output that cannot be written is a failure', () => {
  const { code, stderr } = runCliInto('/dev/full', ['help'])
  expect(stderr).toMatch(/^The output cannot be written: ENOSPC/)
  expect(code).toBe(1)
})

test('looks into the database of a weir that is not running, and stops it again', async () => {
  await weir.quit()
  const { code, stdout } = await run(['doctor', '--verify'])
  expect(stdout).toContain('started for this command')
  expect(code).toBe(0)
  expect(weir.pids('postgres')).toEqual([])
})
