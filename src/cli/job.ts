import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { askOnce, askWeir, callWeir, memberAt, textAt, WeirAway } from './api.ts'
import { argument, idempotencyKey, isSet, option, say, UsageError } from './command.ts'
import type { Command, Given } from './command.ts'
import { endedAs, why } from './job-why.ts'

const reconnectMs = 1_000
/** Connections that fail in a row before a watch gives up: weir may be started again meanwhile. */
const reconnectsMax = 60

const asJson = { json: { type: 'boolean', about: 'the timeline for programs' } } as const

/** Commands about one job. */
export const jobCommands: readonly Command[] = [
  {
    name: 'job submit',
    usage: '<type> [--input <json or @file>] [--watch]',
    summary: 'Submits a job of the type and prints its id.',
    options: {
      input: { type: 'string', about: 'JSON, or @ and the name of a file that holds it' },
      'user-id': { type: 'string', about: 'whose job it is' },
      priority: { type: 'string', about: 'low, normal or high' },
      'idempotency-key': idempotencyKey,
      'webhook-url': { type: 'string', about: 'is told of the start and the end' },
      watch: { type: 'boolean', about: 'follows the job to its end' },
    },
    run: submit,
  },
  {
    name: 'job watch',
    usage: '<jobId>',
    summary: 'Follows a job until its end; exit code 0 when it succeeded.',
    run: async (given) => watch(argument(given, 0, 'jobId')),
  },
  {
    name: 'job why',
    usage: '<jobId> [--json]',
    summary: 'Prints everything that is known of a job as one timeline, from the database.',
    options: asJson,
    run: why,
  },
  {
    name: 'why',
    usage: '<jobId> [--json]',
    summary: 'The same as `weir job why`.',
    options: asJson,
    run: why,
  },
  {
    name: 'job retry',
    usage: '<jobId>',
    summary: 'Puts a job that failed, expired or was canceled back in the queue.',
    run: retry,
  },
]

async function submit(given: Given): Promise<number> {
  const type = argument(given, 0, 'type')
  const userId = option(given, 'user-id')
  const priority = option(given, 'priority')
  const url = option(given, 'webhook-url')
  const body = {
    type,
    input: await readInput(option(given, 'input') ?? '{}'),
    ...(userId === undefined ? {} : { userId }),
    ...(priority === undefined ? {} : { priority }),
    ...(url === undefined ? {} : { webhook: { url } }),
  }
  const job = await askOnce('key', '/v1/jobs', body, given)
  const jobId = textAt(job, 'jobId') ?? ''
  say(jobId)
  return isSet(given, 'watch') ? watch(jobId) : 0
}

async function readInput(text: string): Promise<unknown> {
  const json = text.startsWith('@') ? await readInputFile(text.slice(1)) : text
  try {
    const input: unknown = JSON.parse(json)
    return input
  } catch {
    throw new UsageError('--input must be JSON, or @ and the name of a file that holds JSON.')
  }
}

async function readInputFile(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => null)
  if (text === null) throw new UsageError(`The file ${file} cannot be read.`)
  return text
}

async function retry(given: Given): Promise<number> {
  const jobId = argument(given, 0, 'jobId')
  const path = `/v1/jobs/${encodeURIComponent(jobId)}/retry`
  const job = await askWeir('key', path, { method: 'POST' })
  say(`${jobId} is ${textAt(job, 'status') ?? 'queued'}.`)
  return 0
}

/** Follows the server-sent events; goes on from the last revision when the connection is lost. */
async function watch(jobId: string): Promise<number> {
  let last = '-1'
  // The first connection is not tried again: whoever watches waits for nothing then.
  for (let failures = reconnectsMax; ;) {
    const events = await openEvents(jobId, last).catch((error: unknown) => {
      if (!(error instanceof WeirAway) || failures >= reconnectsMax) throw error
      return null
    })
    if (events === null) {
      failures += 1
      await pause(reconnectMs)
      continue
    }
    failures = 0
    const { status, body } = events
    if (status === 204 || body === null) return endOf(jobId)
    try {
      for await (const block of blocks(body)) {
        last = /^id: (\d+)$/m.exec(block)?.[1] ?? last
        print(block)
      }
    } catch {
      // The connection broke: the next one goes on where this one ended.
      await pause(reconnectMs)
    }
  }
}

async function openEvents(jobId: string, last: string): Promise<Response> {
  const path = `/v1/jobs/${encodeURIComponent(jobId)}/events`
  const headers = { accept: 'text/event-stream', 'last-event-id': last }
  return callWeir('key', path, { headers })
}

async function* blocks(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true })
    const whole = rest.split('\n\n')
    rest = whole.pop() ?? ''
    yield* whole
  }
}

function print(block: string): void {
  const data = /^data: (.+)$/m.exec(block)?.[1]
  if (data === undefined) return
  const event: unknown = JSON.parse(data)
  const type = textAt(event, 'type')
  if (type === undefined) {
    const message = textAt(event, 'message')
    say(`  ${String(memberAt(event, 'progress'))} %${message === undefined ? '' : `  ${message}`}`)
    return
  }
  // A job keeps its last error; only the event that brought it tells it.
  const brings = type === 'job.retry_scheduled' || type === 'job.failed'
  const error = brings ? textAt(event, 'job.error.message') : undefined
  const at = textAt(event, 'at') ?? ''
  say(`${at}  ${type}${error === undefined ? '' : `  ${error}`}`)
}

async function endOf(jobId: string): Promise<number> {
  const job = await askWeir('key', `/v1/jobs/${encodeURIComponent(jobId)}`)
  const status = textAt(job, 'status')
  if (status !== 'succeeded') say(`The job ${endedAs(String(status))}.`)
  return status === 'succeeded' ? 0 : 1
}
