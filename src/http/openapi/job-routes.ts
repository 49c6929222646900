import { DomainError, invalid } from '../../../domain/errors.ts'
import { batchJobsMax } from '../../commands/job-request.ts'
import { problemBody } from '../problem.ts'
import { admissionRefusals, cannotPay } from './admission-refusals.ts'
import { queuedEvent, queuedJob, requestId, runningJob, sandboxRequest } from './examples.ts'
import { startedEvent, succeededEvent, succeededJob, upscaleRequest } from './examples.ts'
import type { Refusal } from './problems.ts'
import type { Route } from './route.ts'
import { example, json, pageExample } from './route.ts'
import { jsonOf } from './schema.ts'

const badInput: Refusal = {
  when:
    'The job type is unknown, its input is not what it asks for, an upload is not there, or a ' +
    'URL may never be called.',
  error: invalid('invalid_input', [
    { pointer: '/input/scale', detail: 'must be one of 2, 3, 4' },
    { pointer: '/input/size', detail: 'is not known here; known are image, scale, format' },
  ]),
}

/** When a limit counted the request. */
const allowance = ['RateLimit-Policy', 'RateLimit'] as const

export const jobRoutes: readonly Route[] = [
  {
    method: 'post',
    path: '/v1/jobs',
    operationId: 'submitJob',
    summary: 'Submit a job',
    description:
      'Holds what the job costs at most, queues it and answers at once. The job is there: ' +
      '`GET` finds it, and channels and streams tell of it.\n\n' +
      '- Send an `Idempotency-Key`: a repetition then gives the same job.\n' +
      '- With `Prefer: wait=10` the answer comes when the job has ended, or after 10 seconds, ' +
      'with the job as it is then.\n' +
      '- A failed attempt is repeated, five attempts by default, with growing pauses from one ' +
      'second on. Steps that are done are neither repeated nor paid again.',
    access: { scope: 'jobs:write' },
    parameters: ['Prefer'],
    body: {
      required: true,
      content: json('JobRequest', {
        upscale: { summary: 'A photo, four times as large', value: jsonOf(upscaleRequest) },
        sandbox: {
          summary: 'A test: three steps, the second one fails once',
          value: jsonOf(sandboxRequest),
        },
      }),
    },
    answers: {
      202: {
        description: 'The job was accepted.',
        headers: ['Location', 'Preference-Applied', ...allowance],
        content: json('Job', {
          queued: { summary: 'At once', value: jsonOf(queuedJob) },
          waited: { summary: 'With Prefer: wait=10', value: jsonOf(succeededJob) },
        }),
      },
    },
    refusals: [...admissionRefusals, badInput],
  },
  {
    method: 'post',
    path: '/v1/jobs/batch',
    operationId: 'submitJobs',
    summary: 'Submit many jobs',
    description:
      `1 to ${batchJobsMax} jobs in one request. Each is judged by itself: one that is refused ` +
      'takes no other with it. The `Idempotency-Key` is one for the whole batch.',
    access: { scope: 'jobs:write' },
    body: {
      required: true,
      content: json('BatchRequest', example(jsonOf({ jobs: [upscaleRequest, sandboxRequest] }))),
    },
    answers: {
      200: {
        description: 'What became of each job, in their order.',
        headers: allowance,
        content: json(
          'BatchAnswer',
          example(
            jsonOf({
              items: [
                { status: 202, job: queuedJob },
                { status: 402, error: problemBody(cannotPay.error, requestId) },
              ],
            }),
          ),
        ),
      },
    },
  },
  {
    method: 'get',
    path: '/v1/jobs',
    operationId: 'listJobs',
    summary: 'List jobs',
    description: 'Newest first. The list may lag behind the jobs, normally well under a second.',
    access: { scope: 'jobs:read' },
    parameters: ['status', 'type', 'userId', 'from', 'to', 'cursor', 'limit'],
    answers: {
      200: { description: 'A page.', content: json('JobPage', pageExample(jsonOf(succeededJob))) },
    },
  },
  {
    method: 'get',
    path: '/v1/jobs/{jobId}',
    operationId: 'getJob',
    summary: 'Get a job',
    description: 'The job as it is now; this never lags.',
    access: { scope: 'jobs:read', clients: true },
    answers: {
      200: {
        description: 'The job.',
        content: json('Job', {
          running: { value: jsonOf(runningJob) },
          succeeded: { value: jsonOf(succeededJob) },
        }),
      },
    },
  },
  {
    method: 'post',
    path: '/v1/jobs/{jobId}/cancel',
    operationId: 'cancelJob',
    summary: 'Cancel a job',
    description:
      'A queued job is `canceled` in the answer; a running one within about a second, and what ' +
      'its calls have cost by then stays charged. Asking again changes nothing.',
    access: { scope: 'jobs:write' },
    answers: {
      202: {
        description: 'The job as it is now.',
        content: json('Job', example(jsonOf(runningJob))),
      },
    },
    refusals: [
      {
        when: 'The job has ended already.',
        error: new DomainError('conflict', 'The job is already succeeded.'),
      },
    ],
  },
  {
    method: 'post',
    path: '/v1/jobs/{jobId}/retry',
    operationId: 'retryJob',
    summary: 'Retry a job',
    description:
      'Queues a job that failed, was canceled or expired once more, with a new hold for what is ' +
      'left to do. It stays the same job: revisions and attempts go on, steps that are done stay ' +
      'done, and `job.requeued` tells of it.',
    access: { scope: 'jobs:write' },
    answers: {
      202: { description: 'The job, queued again.', headers: allowance, content: json('Job') },
    },
    refusals: [
      ...admissionRefusals,
      {
        when: 'The job has not ended, or it succeeded.',
        error: new DomainError('conflict', 'A job that is succeeded cannot be retried.'),
      },
    ],
  },
  {
    method: 'get',
    path: '/v1/jobs/{jobId}/events',
    operationId: 'listJobEvents',
    summary: 'List or stream what happened to a job',
    description:
      'Without more a list, oldest first. With `Accept: text/event-stream` the same as ' +
      'server-sent events, and then live: `id` is the revision, `event` the type and `data` the ' +
      'item. Progress comes between them as `event: progress`, without an id. A comment every 15 ' +
      'seconds keeps the connection open; after the end of the job the stream ends.',
    access: { scope: 'jobs:read', clients: true },
    parameters: ['after', 'cursor', 'limit', 'Last-Event-ID'],
    answers: {
      200: {
        description: 'The events beyond `after`.',
        content: {
          ...json('JobEventPage', pageExample(jsonOf(queuedEvent), jsonOf(startedEvent))),
          'text/event-stream': {
            schema: { type: 'string', description: 'Server-sent events; `data` is a JobEvent.' },
            examples: example(eventStream(), 'From revision 1 on'),
          },
        },
      },
      204: { description: 'Event stream only: the job has ended, and there is nothing beyond.' },
    },
  },
  {
    method: 'get',
    path: '/v1/jobs/{jobId}/result',
    operationId: 'getJobResult',
    summary: 'Get the result of a job',
    description:
      'Redirects to a URL that is valid for five minutes and needs no header, so that it can ' +
      'stand in a page. Let your HTTP client follow it.',
    access: { scope: 'jobs:read', clients: true },
    answers: {
      302: { description: 'Where the bytes are.', headers: ['Location'] },
    },
    refusals: [
      {
        when: 'The job has not ended yet.',
        error: new DomainError('conflict', 'The job is running; it has no result yet.'),
      },
      {
        when: 'The job is not there, or it ended without a result.',
        error: new DomainError('not_found', 'The job ended without a result.'),
      },
    ],
  },
  {
    method: 'get',
    path: '/v1/job-types',
    operationId: 'listJobTypes',
    summary: 'List job types',
    description: 'What can be done here: each with the schema of its input and its prices.',
    access: { scope: 'jobs:read' },
    answers: { 200: { description: 'All of them.', content: json('JobTypePage') } },
  },
]

function eventStream(): string {
  const progress = { progress: 20, message: 'making 4800 × 3200 pixels' }
  return [
    ': weir',
    eventOf(startedEvent.type, startedEvent, startedEvent.revision),
    eventOf('progress', progress),
    eventOf(succeededEvent.type, succeededEvent, succeededEvent.revision),
    '',
  ].join('\n\n')
}

function eventOf(event: string, data: object, id?: number): string {
  const lines = [`event: ${event}`, `data: ${JSON.stringify(data)}`]
  return (id === undefined ? lines : [`id: ${id}`, ...lines]).join('\n')
}
