import { isFinished } from './contract.ts'
import type { Job, JobEvent, Progress } from './contract.ts'
import { Inbox } from './inbox.ts'
import { openLine } from './line.ts'
import type { LineMessage, Subscribed } from './line.ts'
import { list } from './request.ts'
import type { Access } from './request.ts'
import { Sequence } from './sequence.ts'

// A watch, from its first connection to the end of the job:
//
//   connecting ──▶ subscribing ──▶ live ──▶ ended: nothing can follow any more
//       ▲               ▲           │ │
//       │               └── a hole ─┘ │
//       └──────── connection lost ────┘     failed: refused, aborted, or lost for too long

/** How the connection of a watch is. */
export type Connection =
  | {
      readonly state: 'live'
      /** The revision from which it goes on. */
      readonly after: number
      /** How many events come at once, because they happened before. */
      readonly missed: number
    }
  /** Told again after each attempt that fails. */
  | { readonly state: 'lost'; readonly error: Error }

export type WatchOptions = {
  /** The last revision that you know; -1, the default, for the whole history. */
  readonly after?: number
  /** Ends the watch, which then throws the reason of the signal. */
  readonly signal?: AbortSignal
  /** Goes on after the end of the job: somebody may retry it. */
  readonly isEndless?: boolean
  readonly onProgress?: (progress: Progress) => void
  readonly onConnection?: (connection: Connection) => void
}

/**
 * Every transition of the job beyond `after`: each revision once, in order, whatever happens to
 * the connection. Ends with the job.
 *
 * @throws WeirError when the job is not there or may not be seen; `unreachable` when the
 *   connection stays lost for `reconnectForMs`
 */
export async function* watchJob(
  access: Access,
  jobId: string,
  { after = -1, signal, isEndless = false, onProgress, onConnection }: WatchOptions = {},
): AsyncGenerator<JobEvent, void, void> {
  const sequence = new Sequence(after)
  const inbox = new Inbox<LineMessage>(signal)
  const line = await openLine(access, `job:${jobId}`, inbox.put)
  let latest: Job | null = null
  let lostAt: number | null = access.now()
  const lose = (error: Error): void => {
    onConnection?.({ state: 'lost', error })
    lostAt ??= access.now()
    if (access.now() - lostAt > access.reconnectForMs) throw error
  }
  try {
    for (;;) {
      const message = await inbox.take()
      if (message.kind === 'refused') throw message.error
      if (message.kind === 'lost') lose(message.error)
      if (message.kind === 'progress') onProgress?.(message.progress)
      if (message.kind === 'update') sequence.add([message.event])
      if (message.kind === 'connected') line.subscribe(sequence.last)
      if (message.kind === 'subscribed') {
        lostAt = null
        latest = message.answer.job
        await catchUp(access, sequence, message.answer, signal)
        onConnection?.({ state: 'live', after: sequence.last, missed: sequence.size })
      }
      for (let event = sequence.next(); event !== undefined; event = sequence.next()) {
        yield event
        if (latest === null || event.revision > latest.revision) latest = event.job
      }
      // Ends that a requeue has undone lie before the latest revision.
      const isOver = latest !== null && isFinished(latest) && sequence.last >= latest.revision
      if (isOver && !isEndless) return
      if (sequence.hasHole) line.subscribe(sequence.last)
    }
  } finally {
    inbox.close()
    line.close()
  }
}

/** Fills what was missed: from the answer, else from the list, which has all of it. */
async function catchUp(
  access: Access,
  sequence: Sequence,
  { recovered, job, events }: Subscribed,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (recovered) {
    sequence.add(events)
    return
  }
  if (job.revision <= sequence.last) {
    // What was known lies beyond the end of the stream: only the job itself is true.
    sequence.restart(job.revision)
    return
  }
  const path = `v1/jobs/${encodeURIComponent(job.jobId)}/events`
  // The list is as patient as the connection.
  const patient = { ...access, retryForMs: access.reconnectForMs }
  const missed = list<JobEvent>(patient, path, { after: sequence.last }, signal)
  for await (const event of missed) sequence.add([event])
}
