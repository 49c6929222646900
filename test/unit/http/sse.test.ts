import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { PassThrough } from 'node:stream'
import { expect, test } from '@jest/globals'
import type { FastifyRequest } from 'fastify'
import type { JobEventView } from '../../../domain/job/job-view.ts'
import { streamJobEvents } from '../../../src/http/sse.ts'
import type { JobListener } from '../../../src/realtime/job-channels.ts'

/** A stream of a job that stands at revision 3, its heartbeat, and what its channel may tell. */
function given(query: Readonly<Record<string, string>> = {}) {
  const watched: { after: number; listener: JobListener }[] = []
  const regularly: (() => void)[] = []
  const stopping: (() => void)[] = []
  const token = { isOver: false }
  const channels = {
    watch: (_jobId: string, after: number, listener: JobListener) => {
      watched.push({ after, listener })
      return () => undefined
    },
    onClose: (run: () => void) => {
      stopping.push(run)
      return () => undefined
    },
  }
  const { body } = streamJobEvents({
    request: { headers: {} } as FastifyRequest,
    jobId: 'j1',
    query,
    channels,
    job: { revision: 3, isFinished: false },
    every: (_ms, run) => {
      regularly.push(run)
      return () => undefined
    },
    isOver: async () => token.isOver,
  })
  if (!(body instanceof PassThrough)) throw new Error('a stream was expected')
  const [{ after, listener } = { after: NaN, listener: null }] = watched
  const [beat, recheck] = regularly
  if (listener === null || beat === undefined || recheck === undefined)
    throw new Error('nothing is watched')
  const tell = (revision: number, type: string, status: string): void =>
    listener.update({ revision, type, job: { status } } as JobEventView)
  const stop = (): void => stopping.forEach((run) => run())
  return { body, after, listener, beat, recheck, token, tell, stop }
}

const idsOf = (sent: string): readonly number[] =>
  [...sent.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))

test('what comes after the end of a stream does not take its end away', async () => {
  const { body, tell, listener } = given()
  tell(4, 'job.failed', 'failed')
  tell(5, 'job.requeued', 'queued')
  tell(6, 'job.started', 'running')
  listener.progress({ progress: 50 })
  expect(idsOf(await text(body))).toEqual([4])
})

test('a reader that is slow gets the end, however long it takes to it', async () => {
  const { body, tell, beat } = given()
  tell(4, 'job.succeeded', 'succeeded')
  beat()
  expect(idsOf(await text(body))).toEqual([4])
})

test('a stream from beyond the revision of its job ends with the job all the same', async () => {
  const { body, tell, after } = given({ after: '99' })
  expect(after).toBe(3)
  tell(4, 'job.started', 'running')
  tell(5, 'job.succeeded', 'succeeded')
  expect(idsOf(await text(body))).toEqual([])
})

test('a stream ends with the token that it was asked for with', async () => {
  const { body, tell, recheck, token } = given()
  recheck()
  await Promise.resolve()
  tell(4, 'job.started', 'running')
  token.isOver = true
  recheck()
  await once(body, 'prefinish')
  tell(5, 'job.succeeded', 'succeeded')
  expect(idsOf(await text(body))).toEqual([4])
})

test('a stream ends when the process stops, with what was told until then', async () => {
  const { body, tell, stop } = given()
  tell(4, 'job.started', 'running')
  stop()
  expect(idsOf(await text(body))).toEqual([4])
})
