import { DomainError } from '../../domain/errors.ts'
import { isFinished } from '../../domain/job/job.ts'
import { jobTimeline } from '../queries/job-timeline.ts'
import type { JobTimeline, TimelineEntry } from '../queries/job-timeline.ts'
import { argument, CliError, isSet, say } from './command.ts'
import type { Given } from './command.ts'
import { withDatabase } from './database.ts'

/** `weir job why`: one timeline of the job. */
export async function why(given: Given): Promise<number> {
  const jobId = argument(given, 0, 'jobId').toLowerCase()
  const timeline = await withDatabase(async (database) => {
    try {
      return await jobTimeline(database.profile(), jobId)
    } catch (error) {
      throw error instanceof DomainError ? new CliError(error.message) : error
    }
  })
  if (isSet(given, 'json')) say(JSON.stringify(timeline.entries, null, 2))
  else print(timeline)
  return 0
}

function print({ job, entries }: JobTimeline): void {
  const { jobId, jobType, orgId, traceparent } = job.spec
  say(`${jobId}  ${jobType}  org ${orgId}`)
  if (traceparent !== null) say(`trace ${traceparent.slice(3, 35)}`)
  say()
  const start = Date.parse(entries[0]?.at ?? job.spec.submittedAt)
  const wide = Math.max(...entries.map(({ what }) => what.length))
  for (const entry of entries) say(lineOf(entry, start, wide))
  say()
  say(summary(job))
}

function lineOf(entry: TimelineEntry, start: number, wide: number): string {
  const { at, kind, what, ms, detail, isTrouble } = entry
  const passed = `+${((Date.parse(at) - start) / 1_000).toFixed(3)} s`
  const took = ms === null ? '' : duration(ms)
  const mark = isTrouble ? '!' : ' '
  const columns = [at, passed.padStart(11), mark, kind.padEnd(7), what.padEnd(wide)]
  return `${columns.join(' ')} ${took.padStart(9)}  ${detail}`.trimEnd()
}

function duration(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(2)} s`
}

/** What became of a job, as the rest of a sentence about it. */
export function endedAs(status: string): string {
  return status === 'canceled' ? 'was canceled' : status
}

function summary(job: JobTimeline['job']): string {
  const { status, attempt, error, spec, runAt, cancelRequested } = job
  const attempts = `${attempt} of at most ${spec.attemptsMax} attempts`
  const why = error === null ? '' : ` Last error: ${error.code}, ${error.message}`
  if (isFinished(status)) return `It ${endedAs(status)} after ${attempts}.${why}`
  if (cancelRequested) return `It is ${status}; its cancelation is under way.${why}`
  if (status === 'queued' && runAt !== null) return `It waits until ${runAt}, ${attempts}.${why}`
  return `It is ${status}, ${attempts}.${why}`
}
