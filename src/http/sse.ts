import { PassThrough } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { isFinished } from '../../domain/job/job.ts'
import { revisionParam } from '../queries/list-job-events.ts'
import type { JobChannels } from '../realtime/job-channels.ts'
import { Answer } from './answer.ts'
import { textParam } from './paging.ts'
import type { Query } from './paging.ts'

const heartbeatMs = 15_000
/** The token of a reader is looked at again this often, ms: a revoked one ends the stream. */
const recheckMs = 3_000
/** A reader that does not read is cut off when this much waits for it, bytes. */
const backlogBytesMax = 1_000_000

export type JobStream = {
  readonly request: FastifyRequest
  readonly jobId: string
  readonly query: Query
  readonly channels: Pick<JobChannels, 'watch' | 'onClose'>
  /** The job as it was when the request came. */
  readonly job: { readonly revision: number; readonly isFinished: boolean }
  readonly every: (ms: number, run: () => void) => () => void
  /** Whether who reads may do so no longer. */
  readonly isOver: () => Promise<boolean>
}

/**
 * Server-sent events of a job: the id is the revision, so that a browser that reconnects goes on
 * exactly where it was. Ends after a terminal event, and with the token that it was asked for with.
 */
export function streamJobEvents(stream: JobStream): Answer {
  const { request, jobId, query, channels, job } = stream
  const lastEventId = request.headers['last-event-id']
  // An empty one is what clients send that have seen nothing yet.
  const isGiven = typeof lastEventId === 'string' && lastEventId !== ''
  const given = revisionParam(isGiven ? lastEventId : null, 'Last-Event-ID')
  const after = given ?? revisionParam(textParam(query, 'after'), '?after') ?? -1
  if (job.isFinished && after >= job.revision) return new Answer(204, undefined)
  const body = new PassThrough()
  const write = (text: string): void => {
    // A reader may still be busy with the end, while others hear more of the job.
    if (body.writableEnded) return
    if (body.writableLength > backlogBytesMax) body.destroy()
    else body.write(text)
  }
  write(': weir\n\n')
  const stopHeartbeat = stream.every(heartbeatMs, () => write(': still here\n\n'))
  const stopRecheck = stream.every(recheckMs, () => {
    void stream.isOver().then((isOver) => {
      if (isOver) body.end()
    })
  })
  // Of who comes from beyond the stream, as after a restore, the end is watched all the same.
  const unwatch = channels.watch(jobId, Math.min(after, job.revision), {
    update: (event) => {
      const text = `id: ${event.revision}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
      if (event.revision > after) write(text)
      // Reruns of the past may hold ends that a requeue has undone: only the newest one counts.
      if (isFinished(event.job.status) && event.revision >= job.revision) body.end()
    },
    progress: (progress) => write(`event: progress\ndata: ${JSON.stringify(progress)}\n\n`),
  })
  // Whoever reads comes back by itself, to a process that stays.
  const unfollow = channels.onClose(() => body.end())
  body.on('close', () => {
    unfollow()
    stopHeartbeat()
    stopRecheck()
    unwatch()
  })
  return new Answer(200, body, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
}
