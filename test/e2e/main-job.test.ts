import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import sharp from 'sharp'
import type { ErrorCode } from '../../domain/errors.ts'
import type { JobView } from '../../domain/job/job-view.ts'
import { expectProblem, expectStatus, sandbox, sha256 } from '../support/client.ts'
import type { Answer, Client, Org } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'
import { isClusterTested } from '../support/weir.ts'
import { waitFor } from '../support/wait-for.ts'
import { expectedSignature, receiveWebhooks } from '../support/webhook-receiver.ts'
import type { WebhookReceiver } from '../support/webhook-receiver.ts'

const startMicro = 10_000_000n
/** 0.05 credits, as the first price book says. */
const pictureMicro = 50_000n
const blockSide = 8

interface Upload {
  readonly uploadId: string
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly expiresAt: string
}

const used = useWeir()
let org: Org
let api: Client
let hook: WebhookReceiver

beforeAll(async () => {
  hook = await receiveWebhooks()
})

beforeEach(async () => {
  org = await used.newOrg({ credits: startMicro })
  api = org.api
})

afterAll(async () => await hook.close())

/** The colour of a block: neighbours differ, so that a wrong size or a flipped axis shows. */
function colourOf(column: number, row: number): [number, number, number] {
  return [(column * 37) % 256, (row * 53) % 256, (column * row * 7) % 256]
}

/** A picture of blocks, `columns` × `rows` of them. */
function picture(columns: number, rows: number) {
  const width = columns * blockSide
  const height = rows * blockSide
  const pixels = Buffer.alloc(width * height * 3)
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const colour = colourOf(Math.floor(x / blockSide), Math.floor(y / blockSide))
      pixels.set(colour, (y * width + x) * 3)
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
}

async function dataUrl(columns: number, rows: number): Promise<string> {
  const png = await picture(columns, rows).png().toBuffer()
  return `data:image/png;base64,${png.toString('base64')}`
}

/** The largest difference between the middle of any block and the colour that it should have. */
async function worstBlock(bytes: Buffer, columns: number, rows: number): Promise<number> {
  const { data, info } = await sharp(bytes)
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  const side = info.width / columns
  let worst = 0
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const x = Math.floor((column + 0.5) * side)
      const y = Math.floor((row + 0.5) * side)
      const at = (y * info.width + x) * info.channels
      for (const [channel, wanted] of colourOf(column, row).entries()) {
        worst = Math.max(worst, Math.abs((data[at + channel] ?? 0) - wanted))
      }
    }
  }
  return worst
}

async function upload(bytes: Buffer, contentType = 'image/png'): Promise<Upload> {
  const asked = await api.post<Upload>('/v1/uploads', { contentType, bytes: bytes.length })
  return expectStatus(asked, 201)
}

async function put({ url, method, headers }: Upload, raw: Buffer, other = {}) {
  return await used.nobody.call(method, url, {
    raw,
    headers: { ...headers, ...other },
  })
}

test('a picture comes back four times as large: right by pixel, by hash and by bill', async () => {
  const input = { image: await dataUrl(12, 8), scale: 4 }
  const submitted = await api.submit({ type: 'image.upscale', input, metadata: { a: 'b' } })
  expect(submitted).toMatchObject({
    type: 'image.upscale',
    status: 'queued',
    progress: 0,
    attempt: 0,
    revision: 0,
    metadata: { a: 'b' },
    result: null,
    credits: { held: String(pictureMicro), charged: '0' },
  })

  const job = await api.finished(submitted)
  expect(job).toMatchObject({ status: 'succeeded', progress: 100, attempt: 1, error: null })
  expect(job.result).toMatchObject({
    contentType: 'image/png',
    outputs: { width: 384, height: 256 },
  })
  const { bytes, sha256: hash, contentType } = await api.download(job.jobId)
  expect({ bytes: bytes.length, sha256: hash, contentType }).toEqual({
    bytes: job.result?.bytes,
    sha256: job.result?.sha256,
    contentType: 'image/png',
  })
  const { width, height } = await sharp(bytes).metadata()
  expect({ width, height }).toEqual({ width: 384, height: 256 })
  expect(await worstBlock(bytes, 12, 8)).toBeLessThanOrEqual(12)

  const { usage, balance } = await api.billed(startMicro, 1)
  expect(usage[0]).toMatchObject({
    jobId: job.jobId,
    provider: 'weir',
    units: { images: '1' },
    chargedMicro: String(pictureMicro),
    priceVersion: 1,
  })
  expect(balance).toEqual({
    orgId: org.orgId,
    available: String(startMicro - pictureMicro),
    held: '0',
    posted: String(startMicro - pictureMicro),
    overdraft: '0',
    currency: 'credits',
  })
  expect((await api.job(job.jobId)).credits).toEqual({ held: '0', charged: String(pictureMicro) })
})

test('an uploaded picture serves any number of jobs, in the format that is asked for', async () => {
  const png = await picture(5, 4).png().toBuffer()
  const uploaded = await upload(png)
  expect((await put(uploaded, png)).status).toBe(putStatus)

  const image = uploaded.uploadId
  const asked = [
    { image, scale: 2 },
    { image, scale: 3, format: 'jpeg' },
    { image, scale: 2, format: 'webp' },
  ]
  const jobs = await Promise.all(asked.map((input) => api.run({ type: 'image.upscale', input })))

  expect(jobs.map(({ result }) => result?.contentType)).toEqual([
    'image/png',
    'image/jpeg',
    'image/webp',
  ])
  for (const [index, scale] of [2, 3, 2].entries()) {
    const { bytes } = await api.download(jobs[index]!.jobId)
    const { width, height } = await sharp(bytes).metadata()
    expect([width, height]).toEqual([5 * blockSide * scale, 4 * blockSide * scale])
    // JPEG and WebP lose colour; a flipped or shifted picture is off by far more.
    expect(await worstBlock(bytes, 5, 4)).toBeLessThanOrEqual(40)
  }
  await api.billed(startMicro, 3)
})

/** S3 answers a stored object in its own way, and refuses in its own words. */
const putStatus = isClusterTested ? 200 : 201

function expectRefusal(answer: Answer<unknown>, status: number, code: ErrorCode): void {
  if (!isClusterTested) return void expectProblem(answer, status, code)
  expect(answer.status).toBeGreaterThanOrEqual(400)
  expect(answer.status).toBeLessThan(500)
}

test('an upload URL takes exactly what was announced, once', async () => {
  const png = await picture(2, 2).png().toBuffer()
  const announced = await upload(png)
  const jpeg = { 'content-type': 'image/jpeg' }
  expectRefusal(await put(announced, png, jpeg), 415, 'unsupported_media_type')
  expectRefusal(await put(announced, png.subarray(1)), 400, 'invalid_request')
  expectRefusal(await put(announced, Buffer.concat([png, png])), 413, 'too_large')
  for (const url of forgeries(announced.url)) {
    expectRefusal(await put({ ...announced, url }, png), 403, 'forbidden')
  }
  expect((await put(announced, png)).status).toBe(putStatus)
  expectRefusal(await put(announced, png), 409, 'conflict')
})

test('an upload that was only announced, is unknown, or is of another org is refused', async () => {
  const announced = await upload(Buffer.alloc(100))
  const other = await used.newOrg()
  const complete = await upload(await picture(1, 1).png().toBuffer())
  await put(complete, await picture(1, 1).png().toBuffer())
  const refused = [
    await api.post('/v1/jobs', upscale(announced.uploadId)),
    await api.post('/v1/jobs', upscale('01900000-0000-7000-8000-000000000000')),
    await other.api.post('/v1/jobs', upscale(complete.uploadId)),
  ]
  for (const answer of refused) {
    const { errors } = expectProblem(answer, 422, 'invalid_input')
    expect(errors?.map(({ pointer }) => pointer)).toEqual(['/input/image'])
  }
  expect(await api.balance()).toMatchObject({ held: '0' })
})

function upscale(image: string) {
  return { type: 'image.upscale', input: { image, scale: 2 } }
}

test('what is no picture fails at once, says why and costs nothing', async () => {
  const image = `data:image/png;base64,${Buffer.from('not a picture at all').toString('base64')}`
  const job = await api.run(upscale(image))
  expect(job).toMatchObject({ status: 'failed', attempt: 1, result: null })
  expect(job.error).toEqual({
    code: expect.stringMatching(/^[a-z_]+$/),
    message: expect.stringMatching(/\S/),
    retryable: false,
  })
  expectProblem(await api.get(`/v1/jobs/${job.jobId}/result`), 404, 'not_found')
  await api.billed(startMicro, 0)
})

test('a link to a result needs no header, answers ranges, and cannot be forged', async () => {
  const job = await api.run(sandbox({ steps: 1, outputBytes: 1_000 }))
  const { headers } = await api.get(`/v1/jobs/${job.jobId}/result`)
  const link = headers.get('location') ?? ''
  const { nobody } = used
  const whole = await nobody.get(link)
  expect({ status: whole.status, hash: sha256(whole.bytes) }).toEqual({
    status: 200,
    hash: job.result?.sha256,
  })
  // Results on another host than weir's pages cannot do anything to them.
  const policy = whole.headers.get('content-security-policy')
  if (!isClusterTested) expect(policy).toContain('sandbox')
  const part = await nobody.get(link, { range: 'bytes=10-19' })
  expect({ status: part.status, bytes: part.bytes }).toEqual({
    status: 206,
    bytes: whole.bytes.subarray(10, 20),
  })
  for (const url of forgeries(link)) expectRefusal(await nobody.get(url), 403, 'forbidden')
})

/** The URL with another value for each of its parameters in turn. */
function forgeries(url: string): string[] {
  return [...new URL(url).searchParams].map(([name, value]) => {
    const forged = new URL(url)
    forged.searchParams.set(name, `${value}1`)
    return forged.href
  })
}

test('the webhook of a job is signed, and its sequence is the revision', async () => {
  const { secret } = expectStatus(await api.get<{ secret: string }>('/v1/webhook-secret'), 200)
  expect(secret).toMatch(/^whsec_/)
  const metadata = { order: '17' }
  const webhook = { url: hook.url }
  const job = await api.run(sandbox({}, { webhook, userId: 'u1', metadata }))
  const mine = await receivedOf(job, 2)

  expect(mine.map(({ body }) => body.type).sort()).toEqual(['job.started', 'job.succeeded'])
  for (const request of mine) {
    expect(String(request.headers['webhook-signature']).split(' ')).toContain(
      expectedSignature(request, secret),
    )
    expect(request.headers['webhook-timestamp']).toMatch(/^\d{10}$/)
    expect(request.headers['content-type']).toContain('application/json')
  }
  expect(new Set(mine.map(({ headers }) => headers['webhook-id'])).size).toBe(2)
  const events = await api.events(job.jobId)
  for (const { body } of mine) {
    const event = events.find(({ type }) => type === body.type)
    expect(body.timestamp).toBe(event?.at)
    expect(body.data.sequence).toBe(event?.revision)
  }
  expect(mine.find(({ body }) => body.type === 'job.succeeded')?.body.data).toEqual({
    jobId: job.jobId,
    type: 'sandbox.run',
    status: 'succeeded',
    progress: 100,
    resultUrl: job.result?.url,
    error: null,
    sequence: job.revision,
    userId: 'u1',
    metadata,
  })
})

async function receivedOf({ jobId }: JobView, count: number) {
  const mine = () => hook.received.filter(({ body }) => body.data.jobId === jobId)
  await waitFor(`${count} webhooks`, () => mine().length >= count, 15_000)
  return mine()
}

test('a webhook tells what went wrong, and only of the events that were asked for', async () => {
  const fail = { atStep: 2, times: 9, code: 'bad_prompt', retryable: false }
  const webhook = { url: hook.url, events: ['job.failed', 'job.step_completed'] }
  const job = await api.run(sandbox({ steps: 3, fail }, { webhook }))
  const mine = await receivedOf(job, 2)
  const bodies = mine.map(({ body }) => body).sort((a, b) => a.data.sequence - b.data.sequence)
  expect(bodies.map(({ type }) => type)).toEqual(['job.step_completed', 'job.failed'])
  expect(bodies[1]?.data).toMatchObject({
    status: 'failed',
    resultUrl: null,
    error: { code: 'bad_prompt', retryable: false },
  })
})

test('a refused webhook comes again with the same id and another signature', async () => {
  const grumpy = await receiveWebhooks((_request, count) => (count === 1 ? 500 : 204))
  try {
    const { secret } = expectStatus(await api.get<{ secret: string }>('/v1/webhook-secret'), 200)
    await api.run(sandbox({}, { webhook: { url: grumpy.url, events: ['job.succeeded'] } }))
    await waitFor('the second attempt', () => grumpy.received.length === 2, 15_000)
    const [first, second] = grumpy.received
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
    expect(second?.raw).toEqual(first?.raw)
    expect(second?.headers['webhook-signature']).toContain(expectedSignature(second!, secret))
  } finally {
    await grumpy.close()
  }
})

test('with Prefer: wait the answer is the job at its end', async () => {
  const body = sandbox({ steps: 2, stepMs: 50 })
  const waited = await api.post<JobView>('/v1/jobs', body, { prefer: 'wait=10' })
  expect(waited.status).toBe(202)
  expect(waited.headers.get('preference-applied')).toBe('wait=10')
  expect(waited.json).toMatchObject({ status: 'succeeded', progress: 100 })

  const slow = sandbox({ steps: 1, stepMs: 4_000 })
  const early = await api.post<JobView>('/v1/jobs', slow, { prefer: 'wait=1' })
  expect(early.json).toMatchObject({ status: 'running', jobId: expect.any(String) })
  await api.cancel(early.json.jobId)
})

test('the types of jobs are listed with their schema and their price', async () => {
  interface JobTypes {
    readonly items: readonly { readonly type: string; readonly prices: readonly object[] }[]
  }
  const { items } = expectStatus(await api.get<JobTypes>('/v1/job-types'), 200)
  expect(items.map(({ type }) => type).sort()).toEqual(['image.upscale', 'sandbox.run'])
  expect(items.find(({ type }) => type === 'sandbox.run')).toMatchObject({
    inputSchema: { required: ['steps', 'stepMs'] },
    prices: [{ provider: 'sandbox', unit: 'requests', priceCredits: '0.01' }],
  })
})

test('paths without a version mean the current one', async () => {
  const answer = await api.post<JobView>('/jobs', sandbox())
  expect(answer.status).toBe(202)
  expect(answer.headers.get('location')).toBe(`${used.weir.baseUrl}/v1/jobs/${answer.json.jobId}`)
  expect((await api.get('/balance')).json).toMatchObject({ orgId: org.orgId })
  await api.finished(answer.json)
})
