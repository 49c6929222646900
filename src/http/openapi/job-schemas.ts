import type { JobCredits, JobEventView, JobView } from '../../../domain/job/job-view.ts'
import type { JobError } from '../../../domain/job/job-events.ts'
import { publicEventTypes } from '../../../domain/catalog.ts'
import type { JobType } from '../../../workers/handlers/job-type.ts'
import { batchJobsMax, jobRequestSchema } from '../../commands/job-request.ts'
import { jobStatuses } from '../../queries/list-jobs.ts'
import {
  amount,
  choice,
  count,
  listOf,
  object,
  orNull,
  pageOf,
  published,
  ref,
  text,
  time,
  url,
  uuid,
} from './schema.ts'
import type { Schema } from './schema.ts'

type JobTypes = ReadonlyMap<string, JobType>

/** Schemas of jobs and of what they are made of. */
export function jobSchemas(jobTypes: JobTypes): Readonly<Record<string, Schema>> {
  const types = [...jobTypes.values()]
  return {
    JobRequest: jobRequest(types),
    ...Object.fromEntries(types.map((type) => [inputName(type), inputSchema(type)])),
    ...jobViews,
    BatchRequest: batchRequest,
    BatchItem: batchItem,
    BatchAnswer: {
      type: 'object',
      required: ['items'],
      properties: { items: listOf(ref('BatchItem'), 'One for each job, in their order.') },
    },
    JobType: jobType,
    JobTypePage: pageOf('JobType'),
  }
}

/** `image.upscale` → `ImageUpscaleInput`. */
function inputName({ type }: JobType): string {
  const words = type.split('.').map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
  return `${words.join('')}Input`
}

function inputSchema(type: JobType): Schema {
  const { description } = type
  return { title: type.title, description, ...published(type.inputSchema) }
}

/** The envelope that checks a request, and the input that each type asks for. */
function jobRequest(types: readonly JobType[]): Schema {
  return {
    description: 'A job to be done. What stands in `input` depends on its `type`.',
    ...published(jobRequestSchema),
    allOf: types.map((type) => ({
      if: { required: ['type'], properties: { type: { const: type.type } } },
      then: { properties: { input: ref(inputName(type)) } },
    })),
  }
}

/** What lists, streams and sockets tell of a transition. */
export const jobEventMembers = {
  revision: count('Its number within the job, from 0, without holes.'),
  type: choice(Object.values(publicEventTypes), 'What happened.'),
  at: time('When.'),
  job: ref('Job'),
}

/** What a job shows of itself. */
export const jobMembers = {
  jobId: uuid('A UUIDv7: ids that come later sort later.'),
  type: text('The job type.'),
  status: {
    ...choice(jobStatuses, ''),
    description:
      '`expired`: not started by its deadline, and never billed. The last four are ends; only ' +
      'a retry leads out of `failed`, `canceled` and `expired`.',
  },
  progress: {
    ...{ type: 'integer', minimum: 0, maximum: 100 },
    description: '100 exactly when it succeeded; kept across attempts.',
  },
  attempt: count('The attempt that runs or ran last; 0 before the first.'),
  revision: count(
    'The number of its last event. It only grows: of two copies of a job the higher is newer.',
  ),
  userId: orNull(text('Your user, as you named them.')),
  metadata: { type: 'object', description: 'As you gave it.' },
  createdAt: time('When it was accepted.'),
  startedAt: orNull(time('When its first attempt began.')),
  finishedAt: orNull(time('When it ended.')),
  result: orNull(ref('JobResult')),
  error: orNull(ref('JobError')),
  credits: ref('JobCredits'),
  urls: ref('JobUrls'),
}

const jobViews = {
  Job: object<JobView>('A job as it is now.', jobMembers),
  JobResult: object<NonNullable<JobView['result']>>(
    'What came out of a job.',
    {
      url: url('Leads to the bytes; needs your key, and redirects to a URL that does not.'),
      contentType: text('The type of the bytes.'),
      bytes: count('How many.'),
      sha256: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'Of the bytes, in hex.' },
      outputs: {
        type: 'object',
        description: 'Facts beside the bytes; each job type has its own.',
      },
    },
    ['outputs'],
  ),
  JobError: object<JobError>('Why a job failed, or why its last attempt did.', {
    code: text(
      'For programs: deadline_exceeded, lease_expired, internal, invalid_input, ' +
        'input_unreachable, or one of the job type.',
    ),
    message: text('For people.'),
    retryable: { type: 'boolean', description: 'Whether another attempt can help.' },
  }),
  JobCredits: object<JobCredits>('Strings of micro-credits: 1,000,000 are one credit.', {
    held: amount('What remains reserved; 0 within a second of the end.'),
    charged: amount('What its calls have cost so far.'),
  }),
  JobUrls: object<JobView['urls']>('Absolute URLs.', {
    self: url('The job.'),
    cancel: url('POST here to cancel it.'),
    events: url('Its events, as a list or a stream.'),
    result: url('Its result.'),
  }),
  JobEvent: object<JobEventView>('Something that happened to a job.', jobEventMembers),
  JobPage: pageOf('Job'),
  JobEventPage: pageOf('JobEvent'),
}

const batchRequest: Schema = {
  type: 'object',
  required: ['jobs'],
  properties: {
    jobs: {
      ...listOf(
        { type: 'object' },
        'Each as in `POST /v1/jobs` (see JobRequest), and judged by itself.',
      ),
      ...{ minItems: 1, maxItems: batchJobsMax },
    },
  },
}

const batchItem: Schema = {
  description: 'An accepted job, or why it was refused.',
  oneOf: [
    {
      type: 'object',
      required: ['status', 'job'],
      properties: { status: { const: 202 }, job: ref('Job') },
    },
    {
      type: 'object',
      required: ['status', 'error'],
      properties: {
        status: { type: 'integer', minimum: 400, description: 'As if it had come alone.' },
        error: ref('Problem'),
      },
    },
  ],
}

const jobType: Schema = {
  type: 'object',
  description: 'What can be done here, and for how much.',
  required: ['type', 'title', 'description', 'inputSchema', 'attemptsMax', 'prices'],
  properties: {
    type: text('What a job names as its `type`.'),
    title: text('For people.'),
    description: text('What it does, and its limits.'),
    inputSchema: { type: 'object', description: 'JSON Schema, draft 2020-12, of `input`.' },
    attemptsMax: { type: 'integer', minimum: 1, description: 'Attempts before it has failed.' },
    prices: listOf(
      {
        type: 'object',
        required: ['provider', 'model', 'unit', 'priceCredits'],
        properties: {
          provider: text('Whom the calls go to.'),
          model: orNull(text('Null: every model without a price of its own.')),
          unit: text('What is counted.'),
          priceCredits: text('Per unit, a decimal number of credits.'),
        },
      },
      'The prices in force for the calls that it makes.',
    ),
  },
}
