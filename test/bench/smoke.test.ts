import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'

const repository = join(import.meta.dirname, '..', '..')
/** Long enough for the peer's first `npm ci`; warm, the run takes some ten seconds. */
const limitMs = 240_000

interface Results {
  readonly fullPath: { stack: string; batchSize: number; jobs: number; jobsPerSecond: number }[]
  readonly startLatency: { stack: string; startedMsP50: number }[]
}

const isRedisInstalled = spawnSync('redis-server', ['--version']).status === 0
const mustHavePeer = isRedisInstalled || process.env.CI === 'true'

async function runBench(...flags: string[]): Promise<{ output: string; errors: string }> {
  const child = spawn('npm', ['run', '--silent', 'bench', '--', ...flags], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limitMs - 20_000,
  })
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const code = await new Promise((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  if (code !== 0) throw new Error(`the benchmark ended with ${String(code)}: ${errors}`)
  return { output, errors }
}

test(
  'npm run bench measures weir, and the peer beside it, on a few jobs',
  async () => {
    const { output } = await runBench('--smoke')

    const file = /^saved as (.+)$/m.exec(output)?.[1] ?? ''
    const results = JSON.parse(readFileSync(join(repository, file), 'utf8')) as Results
    const stacks = mustHavePeer ? ['bullmq', 'weir'] : ['weir']
    const measured = results.fullPath.map(({ stack, batchSize, jobs }) => [stack, batchSize, jobs])
    expect(measured).toEqual(
      stacks.flatMap((stack) => [
        [stack, 1, 40],
        [stack, 10, 40],
      ]),
    )
    for (const run of results.fullPath) expect(run.jobsPerSecond).toBeGreaterThan(0)
    expect(results.startLatency.map(({ stack }) => stack)).toEqual(stacks)
    for (const run of results.startLatency) expect(run.startedMsP50).toBeGreaterThan(0)
    expect(output).toContain('where the time goes')
  },
  limitMs,
)
