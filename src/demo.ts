/**
 * `npm run demo [-- picture scale]`: one paid job in the terminal, against the weir that runs.
 * It uploads the bundled photo, follows the job live, saves the larger picture in the current
 * folder and shows what it cost.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import sharp from 'sharp'
import { Weir, WeirError } from '../client/weir.ts'
import type { Job, JobEvent, Usage } from '../client/weir.ts'
import { ConfigError, readConfig } from './config.ts'
import { openScreen } from './demo/screen.ts'
import type { Screen } from './demo/screen.ts'
import { devFilePath, readDevFile } from './supervisor/dev-file.ts'
import { bytes, clock, credits, duration, quantity } from './demo/words.ts'

const jobLimitMs = 120_000
/** Whoever looks at a terminal does not wait longer for a weir that is not there. */
const patienceMs = 3_000
const settlePollsMax = 20
const settlePollMs = 150

/** What stops the demo, as a sentence for the person at the terminal. */
class DemoError extends Error {}

interface Picture {
  readonly name: string
  readonly data: Buffer<ArrayBuffer>
  readonly contentType: string
  readonly size: string
}

/** The folder of package.json: this file runs from src/ and from dist/src/. */
function packageRoot(): string {
  let folder = import.meta.dirname
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}

const sizeOf = ({ width, height }: { width: number; height: number }) => `${width} × ${height}`

async function readPicture(path: string): Promise<Picture> {
  const file = await readFile(path).catch(() => null)
  if (file === null) throw new DemoError(`The picture ${path} cannot be read.`)
  const data = Buffer.from(file)
  const metadata = await sharp(data)
    .metadata()
    .catch(() => null)
  const format = metadata?.format
  if (metadata === null || (format !== 'jpeg' && format !== 'png' && format !== 'webp')) {
    throw new DemoError(`${path} is not a PNG, JPEG or WebP picture.`)
  }
  return { name: basename(path), data, contentType: `image/${format}`, size: sizeOf(metadata) }
}

function noteOf({ type, job }: JobEvent): string {
  if (type === 'job.queued') return `${credits(BigInt(job.credits.held))} credits held`
  if (type === 'job.started') return `attempt ${job.attempt}`
  if (type === 'job.step_completed') return 'kept, never run or paid again'
  if (job.result !== null) return `${bytes(job.result.bytes)} stored`
  return job.error?.message ?? ''
}

function eventPrinter(screen: Screen): (event: JobEvent) => void {
  let start: number | null = null
  return (event) => {
    const { revision, type, at, job } = event
    start ??= Date.parse(at)
    const passed = `+${duration(Date.parse(at) - start)}`.padStart(9)
    const colour = type === 'job.succeeded' ? 'green' : type === 'job.failed' ? 'red' : 'cyan'
    const number = screen.paint('gray', `#${revision}`)
    const name = screen.paint(colour, type.padEnd(18))
    const when = screen.paint('gray', `${clock(at)} ${passed}`)
    screen.line(`  ${number} ${name} ${when}   ${noteOf(event)}`)
    screen.bar(job.progress, job.status)
  }
}

/** Shows the job until its end, and answers it as it is then. */
async function follow(screen: Screen, weir: Weir, jobId: string): Promise<Job> {
  const print = eventPrinter(screen)
  const signal = AbortSignal.timeout(jobLimitMs)
  const onProgress = ({ progress }: { progress: number }) => screen.bar(progress, 'running')
  try {
    for await (const event of weir.watch(jobId, { signal, onProgress })) print(event)
  } catch (error) {
    if (!signal.aborted) throw error
    throw new DemoError(`Nothing came to an end within ${jobLimitMs / 1000} s.`)
  }
  screen.clearBar()
  return weir.job(jobId)
}

const posted = async (weir: Weir) => BigInt((await weir.balance()).posted)

async function usageOf(weir: Weir, jobId: string): Promise<readonly Usage[]> {
  const rows: Usage[] = []
  for await (const row of weir.usage({ jobId })) rows.push(row)
  return rows
}

/** The usage and the balance once the read models agree with the job; they may lag a moment. */
async function settled(weir: Weir, jobId: string, before: bigint) {
  for (let poll = 1; ; poll++) {
    const job = await weir.job(jobId)
    const usage = await usageOf(weir, jobId)
    const after = await posted(weir)
    const charged = BigInt(job.credits.charged)
    const metered = usage.reduce((sum, row) => sum + BigInt(row.chargedMicro), 0n)
    const isExact = metered === charged && before - charged === after
    if ((job.credits.held === '0' && isExact) || poll === settlePollsMax) {
      return { usage, charged, after, isExact }
    }
    await pause(settlePollMs)
  }
}

function usageNote({ provider, model, units, ms }: Usage): string {
  const amounts = Object.entries(units).map(([unit, count]) => quantity(unit, Number(count)))
  const name = model === null ? provider : `${provider} ${model}`
  return `${name}: ${amounts.join(', ')}, ${duration(ms)}`
}

async function showCost(screen: Screen, weir: Weir, bill: Bill): Promise<void> {
  const { usage, charged, after, isExact } = await settled(weir, bill.jobId, bill.before)
  const row = (label: string, micro: bigint, note = '') => {
    const amount = credits(micro).padStart(14)
    screen.line(`  ${screen.paint('gray', label.padEnd(16))}${amount}   ${note}`.trimEnd())
  }
  const notes = usage.map(usageNote).join('; ')
  row('Balance before', bill.before)
  row('Held', bill.held)
  row('Charged', -charged, screen.paint('gray', notes))
  row('Came back', bill.held > charged ? bill.held - charged : 0n)
  const proof = isExact
    ? screen.paint('green', '✓ down by exactly what was metered')
    : 'other jobs moved the balance too'
  row('Balance after', after, proof)
  screen.line()
}

interface Bill {
  readonly jobId: string
  readonly before: bigint
  readonly held: bigint
}

async function save(screen: Screen, weir: Weir, jobId: string, name: string): Promise<void> {
  const { data } = await weir.result(jobId)
  const size = sizeOf(await sharp(data).metadata())
  const target = resolve(name)
  await writeFile(target, data)
  screen.line()
  const label = screen.paint('bold', basename(target))
  screen.line(`  ${label}  ${size}, ${bytes(data.length)}  ${screen.paint('gray', target)}`)
  screen.line()
}

/** How to reach the weir of this home. */
function access(): { readonly baseUrl: string; readonly apiKey: string } {
  const { home } = readConfig()
  const dev = readDevFile(home)
  if (dev) return dev
  const file = devFilePath(home)
  throw new DemoError(`There is no ${file}. Start weir first, in another terminal: npm start`)
}

async function run(screen: Screen, path: string, scale: number): Promise<void> {
  const { baseUrl, apiKey } = access()
  const weir = new Weir({ baseUrl, apiKey, retryForMs: patienceMs })
  if (![2, 3, 4].includes(scale)) throw new DemoError('The scale is 2, 3 or 4.')
  const picture = await readPicture(path)
  const { name, data, contentType, size } = picture
  screen.line()
  screen.line(`  ${screen.paint(['bold', 'cyan'], 'weir')}  one paid job at ${baseUrl}`)
  screen.line()
  screen.line(`  ${screen.paint('bold', name)}  ${size}, ${bytes(data.length)}, to be ×${scale}`)
  screen.line()
  const before = await posted(weir)
  screen.bar(0, 'uploading')
  const image = await weir.upload(data, contentType)
  const input = { image, scale }
  const submitted = await weir.submit({ type: 'image.upscale', input, userId: 'demo' })
  const { jobId, status, error } = await follow(screen, weir, submitted.jobId)
  const stem = basename(name, extname(name))
  if (status === 'succeeded') {
    await save(screen, weir, jobId, `${stem}-${scale}x${extname(name)}`)
  }
  await showCost(screen, weir, { jobId, before, held: BigInt(submitted.credits.held) })
  if (status !== 'succeeded') throw new DemoError(`The job ${status}: ${error?.message ?? ''}`)
}

/** What went wrong as a sentence; null when it is a mistake of the demo itself. */
function sentenceOf(error: unknown): string | null {
  if (error instanceof DemoError || error instanceof ConfigError) return error.message
  if (!(error instanceof WeirError)) return null
  return error.code === 'unreachable'
    ? `${error.message}. Start weir first, in another terminal: npm start`
    : `weir answered ${error.status}: ${error.message}`
}

const [path = join(packageRoot(), 'examples', 'photo.jpg'), scale = '4'] = process.argv.slice(2)
const screen = openScreen(process.stdout)
try {
  await run(screen, path, Number(scale))
} catch (error) {
  screen.clearBar()
  const sentence = sentenceOf(error)
  if (sentence === null) throw error
  process.stderr.write(`${sentence}\n`)
  process.exitCode = 1
}
