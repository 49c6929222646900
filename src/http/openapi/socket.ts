import type { JobEventView } from '../../../domain/job/job-view.ts'
import { balance, jobId, orgId, queuedEvent, startedEvent, succeededEvent } from './examples.ts'
import { runningJob } from './examples.ts'
import { jobEventMembers } from './job-schemas.ts'
import type { SocketContract } from './openapi.ts'
import { example } from './route.ts'
import { choice, count, jsonOf, listOf, object, ref, text } from './schema.ts'
import type { Schema } from './schema.ts'
import { codes } from './problems.ts'

const channel = text('`job:<jobId>`, `org:<orgId>` or `balance:<orgId>`.')

export const socketSchemas: Readonly<Record<string, Schema>> = {
  SocketAuth: {
    type: 'object',
    required: ['token'],
    properties: { token: text('An API key or a client token.') },
  },
  Subscribe: {
    type: 'object',
    required: ['channel'],
    properties: {
      channel,
      after: {
        type: ['integer', 'null'],
        minimum: -1,
        description: 'Jobs only: the last revision that you know. Without it you get no past.',
      },
    },
  },
  Subscribed: {
    type: 'object',
    required: ['ok', 'recovered', 'events'],
    properties: {
      ok: { const: true },
      recovered: {
        type: 'boolean',
        description:
          'False when `after` lies beyond the last revision or more than 1000 behind it: then ' +
          'start from `job`.',
      },
      job: { ...ref('Job'), description: 'Jobs only: the job as it is now.' },
      events: listOf(ref('JobEvent'), 'Everything beyond `after`, in order, never a part of it.'),
    },
  },
  Unsubscribe: { type: 'object', required: ['channel'], properties: { channel } },
  SocketRefusal: {
    type: 'object',
    required: ['ok', 'code'],
    properties: { ok: { const: false }, code: choice(codes, 'As in problems.') },
  },
  SocketDone: { type: 'object', required: ['ok'], properties: { ok: { const: true } } },
  JobUpdate: object<JobEventView & { channel: string }>('A transition of a job.', {
    channel,
    ...jobEventMembers,
  }),
  BalanceUpdate: {
    type: 'object',
    description: 'The balance, after it moved.',
    required: ['channel', 'balance'],
    properties: { channel, balance: ref('Balance') },
  },
  JobProgress: {
    type: 'object',
    description: 'How far a running job is. It has no revision: none is missed by missing one.',
    required: ['channel', 'progress'],
    properties: {
      channel,
      progress: { ...count('Per cent.'), maximum: 100 },
      message: text('For people.'),
    },
  },
}

const jobChannel = `job:${jobId}`

export const socket: SocketContract = {
  path: '/v1/socket',
  description:
    'Live updates over Socket.IO 4, as WebSocket or long polling. The token is checked before ' +
    'anything else: a connection that may not be ends as `connect_error` with a code of the ' +
    'problems in `data.code`. Sockets close when their client token ends, and within 5 seconds ' +
    'when their key is revoked.\n\n' +
    'Each revision of a job reaches a subscription exactly once, in order and without a hole, ' +
    'across the answer to `subscribe` and the updates that follow. After a reconnect, subscribe ' +
    'again with the last revision that you know as `after`. A second `subscribe` to a channel ' +
    'replaces the first.',
  auth: ref('SocketAuth'),
  channels: {
    'job:<jobId>': 'One job: transitions and progress, from any revision on.',
    'org:<orgId>': 'The transitions of every job of your organisation; live only, for API keys.',
    'balance:<orgId>': 'The balance of your organisation; live only, for API keys.',
  },
  emit: {
    subscribe: {
      description: 'Begin to hear of a channel. Other organisations’ channels are `not_found`.',
      message: { schema: ref('Subscribe'), examples: example({ channel: jobChannel, after: 0 }) },
      answer: {
        schema: { oneOf: [ref('Subscribed'), ref('SocketRefusal')] },
        examples: {
          subscribed: {
            value: jsonOf({ ok: true, recovered: true, job: runningJob, events: [startedEvent] }),
          },
          refused: { value: { ok: false, code: 'not_found' } },
        },
      },
    },
    unsubscribe: {
      description: 'Hear of a channel no more.',
      message: { schema: ref('Unsubscribe'), examples: example({ channel: jobChannel }) },
      answer: {
        schema: { oneOf: [ref('SocketDone'), ref('SocketRefusal')] },
        examples: example({ ok: true }),
      },
    },
  },
  receive: {
    update: {
      description: 'Something happened in a channel.',
      message: {
        schema: { oneOf: [ref('JobUpdate'), ref('BalanceUpdate')] },
        examples: {
          job: { value: jsonOf({ channel: jobChannel, ...succeededEvent }) },
          org: { value: jsonOf({ channel: `org:${orgId}`, ...queuedEvent }) },
          balance: { value: jsonOf({ channel: `balance:${orgId}`, balance }) },
        },
      },
    },
    progress: {
      description: 'A job got further.',
      message: {
        schema: ref('JobProgress'),
        examples: example({
          ...{ channel: jobChannel, progress: 20, message: 'making 4800 × 3200 pixels' },
        }),
      },
    },
  },
}
