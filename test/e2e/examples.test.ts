import { afterEach, expect, test } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

const limitMs = 30_000
const running: ChildProcess[] = []
const weirInUse = useWeir()

afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

/** Runs a compiled example; `printed` grows. */
function run(name: string, env: Readonly<Record<string, string>>) {
  const program = fileURLToPath(new URL(`../../dist/examples/${name}.js`, import.meta.url))
  const child = spawn(process.execPath, [program], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  running.push(child)
  const example = { printed: '', ended: new Promise((resolve) => child.once('exit', resolve)) }
  child.stdout.on('data', (chunk: Buffer) => (example.printed += chunk.toString()))
  return example
}

test(
  'submit-and-watch shows every transition and the price',
  async () => {
    const { baseUrl, dev } = weirInUse.weir
    const example = run('submit-and-watch', { WEIR_URL: baseUrl, WEIR_API_KEY: dev.apiKey })
    expect(await example.ended).toBe(0)
    const lines = example.printed.trim().split('\n')
    expect(lines[0]).toMatch(/^submitted [0-9a-f-]{36}, holds 30000 micro-credits$/)
    expect(lines.slice(1)).toEqual([
      '#0 job.queued',
      '#1 job.started',
      '#2 job.step_completed',
      '#3 job.step_completed',
      '#4 job.step_completed',
      '#5 job.succeeded',
      expect.stringMatching(/^result \{"steps":\[\{"step":1,"attempt":1\}/),
      'succeeded, charged 30000 micro-credits',
    ])
  },
  limitMs,
)

test(
  'webhook-receiver takes what weir signed, once and in order',
  async () => {
    const { dev } = weirInUse.weir
    const receiver = run('webhook-receiver', { WEBHOOK_SECRET: dev.webhookSecret, PORT: '0' })
    const url = await waitFor(
      'the receiver to listen',
      () => /http:\S+/.exec(receiver.printed)?.[0],
    )
    const weir = weirInUse.nobody
    const forged = await weir.call('POST', url, { body: {}, headers: { 'webhook-id': 'x' } })
    expect(forged.status).toBe(401)
    const response = await fetch(`${weirInUse.weir.baseUrl}/v1/jobs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${dev.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        type: 'sandbox.run',
        input: { steps: 1, stepMs: 0 },
        webhook: { url, events: ['job.succeeded'] },
      }),
    })
    expect(response.status).toBe(202)
    const said = /^job\.succeeded [0-9a-f-]{36} is succeeded$/m
    await waitFor('the webhook', () => said.test(receiver.printed))
  },
  limitMs,
)
