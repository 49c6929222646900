import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { root } from '../support/repository.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

// What docs/tutorial/first-job.md tells a newcomer to type is typed here, block after block, but
// for its first one: weir runs already, in a home and on ports of its own.

const page = readFileSync(join(root, 'docs/tutorial/first-job.md'), 'utf8')
const [, variables = '', listen = '', ...blocks] = [...page.matchAll(/^```sh\n([^]*?)^```$/gm)].map(
  (match) => match[1] ?? '',
)

const weirInUse = useWeir()
let folder: string
let receiver: ChildProcess
let heard = ''
let session: string

/** The commands as they are typed in a folder that is not the clone's. */
function here(commands: string): string {
  return commands
    .replaceAll('.weir/dev.json', join(weirInUse.weir.home, 'dev.json'))
    .replaceAll('npm run -s weir --', `node ${join(root, 'dist/src/cli.js')}`)
    .replaceAll('node dist/', `node ${join(root, 'dist')}/`)
}

/** Goes on in the same terminal: what was set before is set. */
async function type(commands: string): Promise<string> {
  const options = { cwd: folder, env: { ...weirInUse.weir.toolEnvironment, PORT: '0' } }
  const before = `{ ${here(session)} } >&2\n`
  const { stdout } = await promisify(execFile)('bash', ['-ec', before + here(commands)], options)
  return stdout
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weir-tutorial-'))
  session = variables
  const env = { ...weirInUse.weir.toolEnvironment, PORT: '0' }
  const command = here(variables) + here(listen).replace('node', 'exec node')
  receiver = spawn('bash', ['-ec', command], { cwd: folder, env })
  receiver.stdout?.on('data', (chunk: Buffer) => (heard += chunk.toString()))
})

afterAll(async () => {
  const ended = once(receiver, 'exit')
  receiver.kill('SIGTERM')
  await ended
  rmSync(folder, { recursive: true })
})

test('the first job goes as the tutorial says', async () => {
  const url = await waitFor('the receiver', () => /Listening on (\S+)/.exec(heard)?.[1])
  const [submit = '', watch = '', resume = '', result = '', bill = '', why = '', ...more] = blocks
  expect(more).toEqual([])
  const submitOnce = submit.replace('http://127.0.0.1:4000/', url)
  const first = await type(submitOnce)
  expect(JSON.parse(first)).toMatchObject({ status: 'queued', credits: { held: '50000' } })
  expect(JSON.parse(await type(submitOnce))).toEqual(JSON.parse(first))
  session += `JOB=${JSON.parse(first).jobId}\n`
  const watched = await type(watch)
  expect(watched).toMatch(/^\S+Z {2}job\.queued\n[^]*\n\S+Z {2}job\.succeeded\n$/)
  const resumed = await type(resume)
  expect(resumed.match(/^id: \d+$/gm)).toEqual(['id: 6', 'id: 7'])
  expect(JSON.parse(await type(result)).steps).toHaveLength(5)
  await waitFor('the bill', async () => {
    const told = await type(bill)
    return told.match(/"chargedMicro":"10000"/g)?.length === 5 && told.includes('"available":')
  })
  await waitFor('the webhooks', () => /^job\.started .* is running\n.* is succeeded$/m.test(heard))
  expect(await type(why)).toContain('It succeeded after 1 of at most 5 attempts.')
})
