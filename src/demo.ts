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
import { ConfigError, readConfig } from './config.ts'
import { openScreen } from './demo/screen.ts'
import type { Screen } from './demo/screen.ts'
import {
  ask,
  DemoError,
  download,
  follow,
  listAt,
  numberAt,
  readAccess,
  submit,
  textAt,
  upload,
  valueAt,
} from './demo/weir-client.ts'
import type { Access } from './demo/weir-client.ts'
import { bytes, clock, credits, duration, quantity } from './demo/words.ts'

const jobLimitMs = 120_000
const settlePollsMax = 20
const settlePollMs = 150

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

function noteOf(type: string, job: unknown): string {
  if (type === 'job.queued') return `${credits(BigInt(textAt(job, 'credits.held')))} credits held`
  if (type === 'job.started') return `attempt ${numberAt(job, 'attempt')}`
  if (type === 'job.step_completed') return 'kept, never run or paid again'
  if (type === 'job.succeeded') return `${bytes(numberAt(job, 'result.bytes'))} stored`
  const message = valueAt(job, 'error.message')
  return typeof message === 'string' ? message : ''
}

function eventPrinter(screen: Screen): (event: unknown) => void {
  let start: number | null = null
  return (event) => {
    const at = textAt(event, 'at')
    const type = textAt(event, 'type')
    const job = valueAt(event, 'job')
    start ??= Date.parse(at)
    const passed = `+${duration(Date.parse(at) - start)}`.padStart(9)
    const colour = type === 'job.succeeded' ? 'green' : type === 'job.failed' ? 'red' : 'cyan'
    const number = screen.paint('gray', `#${numberAt(event, 'revision')}`)
    const name = screen.paint(colour, type.padEnd(18))
    const when = screen.paint('gray', `${clock(at)} ${passed}`)
    screen.line(`  ${number} ${name} ${when}   ${noteOf(type, job)}`)
    screen.bar(numberAt(job, 'progress'), textAt(job, 'status'))
  }
}

const posted = async (access: Access) => BigInt(textAt(await ask(access, '/v1/balance'), 'posted'))

const chargedBy = (usage: readonly unknown[]) =>
  usage.reduce<bigint>((sum, row) => sum + BigInt(textAt(row, 'chargedMicro')), 0n)

/** The usage and the balance once the read models agree with the job; they may lag a moment. */
async function settled(access: Access, jobId: string, before: bigint) {
  for (let poll = 1; ; poll++) {
    const job = await ask(access, `/v1/jobs/${jobId}`)
    const usage = listAt(await ask(access, `/v1/usage?jobId=${jobId}`), 'items')
    const after = await posted(access)
    const charged = BigInt(textAt(job, 'credits.charged'))
    const isFree = textAt(job, 'credits.held') === '0'
    const isExact = chargedBy(usage) === charged && before - charged === after
    if ((isFree && isExact) || poll === settlePollsMax) return { usage, charged, after, isExact }
    await pause(settlePollMs)
  }
}

function usageNote(row: unknown): string {
  const model = valueAt(row, 'model')
  const provider = textAt(row, 'provider')
  const units = Object.entries(valueAt(row, 'units') ?? {})
    .map(([unit, count]) => quantity(unit, Number(count)))
    .join(', ')
  const name = typeof model === 'string' ? `${provider} ${model}` : provider
  return `${name}: ${units}, ${duration(numberAt(row, 'ms'))}`
}

async function showCost(screen: Screen, access: Access, bill: Bill): Promise<void> {
  const { usage, charged, after, isExact } = await settled(access, bill.jobId, bill.before)
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

async function save(screen: Screen, access: Access, job: unknown, name: string): Promise<void> {
  const data = await download(access, job)
  const size = sizeOf(await sharp(data).metadata())
  const target = resolve(name)
  await writeFile(target, data)
  screen.line()
  const label = screen.paint('bold', basename(target))
  screen.line(`  ${label}  ${size}, ${bytes(data.length)}  ${screen.paint('gray', target)}`)
  screen.line()
}

async function run(screen: Screen, path: string, scale: number): Promise<void> {
  const access = await readAccess(readConfig().home)
  if (![2, 3, 4].includes(scale)) throw new DemoError('The scale is 2, 3 or 4.')
  const picture = await readPicture(path)
  const { name, data, contentType, size } = picture
  screen.line()
  screen.line(`  ${screen.paint(['bold', 'cyan'], 'weir')}  one paid job at ${access.baseUrl}`)
  screen.line()
  screen.line(`  ${screen.paint('bold', name)}  ${size}, ${bytes(data.length)}, to be ×${scale}`)
  screen.line()
  const before = await posted(access)
  screen.bar(0, 'uploading')
  const submitted = await submit(access, await upload(access, data, contentType), scale)
  const jobId = textAt(submitted, 'jobId')
  const onEvent = eventPrinter(screen)
  const onProgress = (percent: number) => screen.bar(percent, 'running')
  const job = await follow(access, { jobId, onEvent, onProgress, limitMs: jobLimitMs })
  screen.clearBar()
  const stem = basename(name, extname(name))
  if (textAt(job, 'status') === 'succeeded') {
    await save(screen, access, job, `${stem}-${scale}x${extname(name)}`)
  }
  await showCost(screen, access, { jobId, before, held: BigInt(textAt(submitted, 'credits.held')) })
  if (textAt(job, 'status') !== 'succeeded') {
    throw new DemoError(`The job ${textAt(job, 'status')}: ${noteOf('', job)}`)
  }
}

const [path = join(packageRoot(), 'examples', 'photo.jpg'), scale = '4'] = process.argv.slice(2)
const screen = openScreen(process.stdout)
try {
  await run(screen, path, Number(scale))
} catch (error) {
  screen.clearBar()
  if (!(error instanceof DemoError || error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
