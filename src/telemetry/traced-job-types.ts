import type { Pipelines } from '../../domain/aggregates.ts'
import { jobStream } from '../../domain/job/job.ts'
import type { HandlerContext, StepContext } from '../../workers/handlers/handler.ts'
import type { JobType } from '../../workers/handlers/job-type.ts'
import { within } from './telemetry.ts'
import type { StartSpan } from './telemetry.ts'

export type TraceparentOf = (jobId: string) => Promise<string | null>

/** Finds the trace context with which a job was submitted. */
export function jobTraceparent({ jobs }: Pick<Pipelines, 'jobs'>): TraceparentOf {
  return async (jobId) => {
    const { state } = await jobs.load(jobStream(jobId))
    return state.status === 'absent' || state.status === 'abandoned' ? null : state.spec.traceparent
  }
}

/** Shows each attempt, and what its handler calls and stores, in the trace of the job. */
export function tracedJobTypes(
  jobTypes: ReadonlyMap<string, JobType>,
  startSpan: StartSpan,
  traceparentOf: TraceparentOf,
): ReadonlyMap<string, JobType> {
  const traced = [...jobTypes].map(([name, type]): [string, JobType] => [
    name,
    { ...type, run: (context) => runTraced(type, context, startSpan, traceparentOf) },
  ])
  return new Map(traced)
}

async function runTraced(
  type: JobType,
  context: HandlerContext<unknown>,
  startSpan: StartSpan,
  traceparentOf: TraceparentOf,
) {
  const { jobId, attempt } = context
  const about = { 'weir.job.id': jobId, 'weir.job.type': type.type, 'weir.job.attempt': attempt }
  const attributes = { ...about, 'messaging.destination.name': 'weir.jobs' }
  const traceparent = await traceparentOf(jobId)
  const span = startSpan('process weir.jobs', { kind: 'consumer', traceparent, attributes })
  const child = (of: Readonly<Record<string, string>>) => ({
    ...{
      kind: 'client' as const,
      traceparent: span.traceparent,
      attributes: { 'weir.job.id': jobId, ...of },
    },
  })
  const tracedCall =
    (maker: StepContext): StepContext['call'] =>
    (call, run) => {
      const of = { 'weir.provider': call.provider, 'weir.model': call.model ?? 'none' }
      const calling = startSpan(`call ${call.provider}`, child(of))
      return within(calling, () => maker.call(call, run))
    }
  return within(span, () =>
    type.run({
      ...context,
      call: tracedCall(context),
      step: (name, run) => context.step(name, (step) => run({ ...step, call: tracedCall(step) })),
      store: (name, body, contentType) => {
        const storing = startSpan('store result', child({ 'weir.result': name }))
        return within(storing, () => context.store(name, body, contentType))
      },
    }),
  )
}
