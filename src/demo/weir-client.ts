import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { io } from 'socket.io-client'

/** What stops the demo, as a sentence for the person at the terminal. */
export class DemoError extends Error {}

/** The value at a dotted path of an answer. */
export function valueAt(answer: unknown, path: string): unknown {
  let value = answer
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined
    value = Reflect.get(value, name)
  }
  return value
}

/** The string at a dotted path of an answer. */
export function textAt(answer: unknown, path: string): string {
  const value = valueAt(answer, path)
  if (typeof value === 'string') return value
  throw new DemoError(`weir's answer has no text at ${path}`)
}

/** The number at a dotted path of an answer. */
export function numberAt(answer: unknown, path: string): number {
  const value = valueAt(answer, path)
  if (typeof value === 'number') return value
  throw new DemoError(`weir's answer has no number at ${path}`)
}

/** The list at a dotted path of an answer. */
export function listAt(answer: unknown, path: string): readonly unknown[] {
  const value = valueAt(answer, path)
  return Array.isArray(value) ? value : []
}

export interface Access {
  readonly baseUrl: string
  readonly apiKey: string
}

/** Reads how to reach the weir of this home. */
export async function readAccess(home: string): Promise<Access> {
  const file = join(home, 'dev.json')
  const text = await readFile(file, 'utf8').catch(() => null)
  if (text === null) {
    throw new DemoError(`There is no ${file}. Start weir first, in another terminal: npm start`)
  }
  const dev: unknown = JSON.parse(text)
  return { baseUrl: textAt(dev, 'baseUrl'), apiKey: textAt(dev, 'apiKey') }
}

interface Ask {
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

async function explain(response: Response): Promise<DemoError> {
  const problem: unknown = await response.json().catch(() => ({}))
  const detail = valueAt(problem, 'detail')
  const told = typeof detail === 'string' ? detail : response.statusText
  return new DemoError(`weir answered ${response.status}: ${told}`)
}

async function reach(access: Access, url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init).catch(() => null)
  if (response === null) {
    throw new DemoError(
      `weir does not answer at ${access.baseUrl}. Start it first, in another terminal: npm start`,
    )
  }
  if (!response.ok) throw await explain(response)
  return response
}

/**
 * One request; `path` may be an absolute URL of this weir.
 *
 * @throws DemoError when weir is not there or does not answer 2xx
 */
export async function ask(access: Access, path: string, options: Ask = {}): Promise<unknown> {
  const { method = 'GET', body, headers } = options
  const response = await reach(access, new URL(path, access.baseUrl).href, {
    method,
    headers: {
      authorization: `Bearer ${access.apiKey}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return response.json()
}

/** Uploads by presigned PUT and answers the upload id. */
export async function upload(
  access: Access,
  bytes: Buffer<ArrayBuffer>,
  contentType: string,
): Promise<string> {
  const body = { contentType, bytes: bytes.length }
  const slot = await ask(access, '/v1/uploads', { method: 'POST', body })
  const headers = new Headers()
  for (const [name, value] of Object.entries(valueAt(slot, 'headers') ?? {})) {
    headers.set(name, String(value))
  }
  await reach(access, textAt(slot, 'url'), { method: textAt(slot, 'method'), headers, body: bytes })
  return textAt(slot, 'uploadId')
}

/** Submits the job; the key makes a repetition harmless. */
export async function submit(access: Access, image: string, scale: number): Promise<unknown> {
  return ask(access, '/v1/jobs', {
    method: 'POST',
    body: { type: 'image.upscale', input: { image, scale }, userId: 'demo' },
    headers: { 'idempotency-key': randomUUID() },
  })
}

/** Downloads the result of a finished job. */
export async function download(access: Access, job: unknown): Promise<Buffer> {
  const url = new URL(textAt(job, 'urls.result'), access.baseUrl).href
  const headers = { authorization: `Bearer ${access.apiKey}` }
  const response = await reach(access, url, { headers })
  return Buffer.from(await response.arrayBuffer())
}

const terminalStatuses = ['succeeded', 'failed', 'canceled', 'expired']

interface Watch {
  readonly jobId: string
  readonly onEvent: (event: unknown) => void
  readonly onProgress: (percent: number) => void
  readonly limitMs: number
}

/**
 * Follows a job on its channel until it ended, and answers the job at its end. After a lost
 * connection it goes on from the revision it saw last.
 */
export function follow(access: Access, watch: Watch): Promise<unknown> {
  const channel = `job:${watch.jobId}`
  const socket = io(access.baseUrl, {
    path: '/v1/socket',
    transports: ['websocket'],
    auth: { token: access.apiKey },
  })
  let seen = -1
  const ended = new Promise<unknown>((resolve, reject) => {
    const limit = setTimeout(() => {
      reject(new DemoError(`Nothing came to an end within ${watch.limitMs / 1000} s.`))
    }, watch.limitMs)
    const take = (event: unknown) => {
      const revision = numberAt(event, 'revision')
      if (revision <= seen) return
      seen = revision
      watch.onEvent(event)
      if (!terminalStatuses.includes(textAt(event, 'job.status'))) return
      clearTimeout(limit)
      resolve(valueAt(event, 'job'))
    }
    socket.on('connect', () => {
      socket.emit('subscribe', { channel, after: seen }, (answer: unknown) => {
        for (const event of listAt(answer, 'events')) take(event)
        if (valueAt(answer, 'ok') === true) return
        reject(new DemoError(`The live channel was refused: ${String(valueAt(answer, 'code'))}`))
      })
    })
    socket.on('connect_error', (error) => {
      const code = valueAt(error, 'data.code')
      if (typeof code === 'string') reject(new DemoError(`weir refused the connection: ${code}`))
    })
    socket.on('update', take)
    socket.on('progress', (signal: unknown) => watch.onProgress(numberAt(signal, 'progress')))
  })
  return ended.finally(() => socket.disconnect())
}
