import { DomainError } from '../../../domain/errors.ts'
import { usageGroupsMax } from '../../queries/list-usage.ts'
import { balance, baseUrl, jobId, ledgerEntry, orgId, uploadId, usage } from './examples.ts'
import { usualRefusals } from './problems.ts'
import type { Refusal } from './problems.ts'
import type { Route } from './route.ts'
import { example, json, pageExample } from './route.ts'
import { jsonOf, ref } from './schema.ts'

const uploadUrl = `${baseUrl}/v1/objects/uploads/${orgId}/${uploadId}`

const beforePhoto = { ...balance, available: '100000000', posted: '100000000' }

export const accountRoutes: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/balance',
    operationId: 'getBalance',
    summary: 'Get the balance',
    description:
      'A read model: it may lag, normally well under a second. With `asOf` it is what the ledger ' +
      'says about an earlier time, and has `asOf` and `by` as well; its overdraft is today’s.',
    access: { scope: 'billing:read' },
    parameters: ['asOf', 'by'],
    answers: {
      200: {
        description: 'The money, now or then.',
        content: {
          'application/json': {
            schema: { oneOf: [ref('Balance'), ref('PastBalance')] },
            examples: {
              now: { value: jsonOf(balance) },
              past: {
                summary: 'With asOf, a moment before the photo',
                value: jsonOf({ ...beforePhoto, asOf: '2026-01-31T09:00:00.000Z', by: 'booked' }),
              },
            },
          },
        },
      },
    },
  },
  {
    method: 'get',
    path: '/v1/ledger',
    operationId: 'listLedger',
    summary: 'Read the ledger',
    description:
      'Double entry: the entries of one `tx_id` sum to zero in each currency, a credit counted ' +
      'positive. The last entry of `customer_credit` has the posted balance. Newest first; with ' +
      '`Accept: text/csv` the whole range as one file, oldest first, where text that a ' +
      'spreadsheet would run as a formula begins with an apostrophe.',
    access: { scope: 'billing:read' },
    parameters: ['from', 'to', 'cursor', 'limit'],
    answers: {
      200: {
        description: 'A page, or the statement.',
        content: {
          ...json('LedgerPage', pageExample(jsonOf(ledgerEntry))),
          'text/csv': { schema: { type: 'string' } },
        },
      },
    },
  },
  {
    method: 'get',
    path: '/v1/usage',
    operationId: 'listUsage',
    summary: 'List usage',
    description:
      'One item per call to a provider, newest first. The sum of `chargedMicro` over a job is ' +
      'what the job has cost, to the last micro-credit.',
    access: { scope: 'billing:read' },
    parameters: ['ofJob', 'userId', 'provider', 'from', 'to', 'cursor', 'limit'],
    answers: {
      200: { description: 'A page.', content: json('UsagePage', pageExample(jsonOf(usage))) },
    },
  },
  {
    method: 'get',
    path: '/v1/usage/summary',
    operationId: 'summarizeUsage',
    summary: 'Sum up usage',
    description:
      'The sums of all calls in a period, by one of their properties. One that has more than ' +
      `${usageGroupsMax} values there is refused: ask for a shorter period.`,
    access: { scope: 'billing:read' },
    parameters: ['groupBy', 'from', 'to'],
    answers: {
      200: {
        description: 'One item per value of the property.',
        content: json(
          'UsageSummaryList',
          example({
            items: [
              {
                ...{ key: 'weir', calls: 1, units: { images: '1' }, ms: usage.ms },
                ...{ costNanoUsd: usage.costNanoUsd, chargedMicro: usage.chargedMicro },
              },
            ],
          }),
        ),
      },
    },
  },
  {
    method: 'post',
    path: '/v1/uploads',
    operationId: 'createUpload',
    summary: 'Upload an input',
    description:
      'Gives a URL that takes one PUT of exactly this type and length, within 15 minutes and ' +
      'without a key; a browser may do it. The `uploadId` can then stand in the input of any ' +
      'number of jobs for 24 hours.',
    access: { scope: 'jobs:write' },
    body: {
      required: true,
      content: json('UploadRequest', example({ contentType: 'image/jpeg', bytes: 412_087 })),
    },
    answers: {
      201: {
        description: 'Where to put the bytes.',
        content: json(
          'Upload',
          example({
            uploadId,
            url:
              `${uploadUrl}?expires=1769850898211&type=image%2Fjpeg&bytes=412087` +
              '&signature=mX3vQ0cJm1r8yq4Tz7dN2sV9kLwEo5aHb6uFiG0pRxA',
            method: 'PUT',
            headers: { 'content-type': 'image/jpeg' },
            expiresAt: '2026-01-31T09:14:58.211Z',
          }),
        ),
      },
    },
  },
  {
    method: 'post',
    path: '/v1/tokens',
    operationId: 'createClientToken',
    summary: 'Make a token for a browser',
    description:
      'A client token reads and watches the jobs of one of your users, or the channels that you ' +
      'name, and does nothing else. Its sockets close when it ends.',
    access: { scope: 'jobs:read' },
    body: {
      required: false,
      content: json('TokenRequest', {
        user: { summary: 'The jobs of a user', value: { userId: 'u1', ttlSeconds: 900 } },
        job: { summary: 'One job', value: { channels: [`job:${jobId}`] } },
      }),
    },
    answers: {
      201: {
        description: 'The token.',
        content: json(
          'ClientToken',
          example({
            token:
              'weir_client_eyJvcmdJZCI6IjAxOWI4ZDJiIiwidXNlcklkIjoidTEifQ' +
              '.Zk3vQ0cJm1r8yq4Tz7dN2sV9kLwEo5aHb6uFiG0pRxA',
            expiresAt: '2026-01-31T09:15:00.000Z',
          }),
        ),
      },
    },
  },
]

const badUrl: Refusal = {
  when: 'The URL was not signed by weir, its signature does not match, or it has expired.',
  error: new DomainError('forbidden', 'The URL has expired.'),
}
const gone: Refusal = {
  when: 'The object is not there.',
  error: new DomainError('not_found', 'The object is not there (any more).'),
}

/** Where signed URLs lead while weir keeps the objects itself. */
export const objectRoutes: readonly Route[] = [
  {
    method: 'get',
    path: '/v1/objects/{objectKey}',
    operationId: 'getObject',
    summary: 'Download from a signed URL',
    description:
      'The URL is the permission: take it as it is from a redirect of ' +
      '`GET /v1/jobs/{jobId}/result`. Ranges and `If-None-Match` are honoured.',
    access: 'public',
    answers: {
      200: {
        description: 'The bytes.',
        headers: ['ETag'],
        content: { 'image/*': { schema: {} }, 'application/*': { schema: {} } },
      },
      206: { description: 'The range that was asked for.', headers: ['ETag'] },
      304: { description: 'You have it already.', headers: ['ETag'] },
    },
    refusals: [badUrl, gone, usualRefusals.internal],
  },
  {
    method: 'put',
    path: '/v1/objects/{objectKey}',
    operationId: 'putObject',
    summary: 'Upload to a signed URL',
    description:
      'The URL is the permission: take it as it is from `POST /v1/uploads`, with its headers. ' +
      'What arrives is stored whole or not at all.',
    access: 'public',
    body: {
      required: true,
      content: { 'image/*': { schema: {} }, 'application/*': { schema: {} } },
    },
    answers: {
      201: {
        description: 'The bytes are stored.',
        headers: ['ETag'],
        content: json(
          'StoredObject',
          example({
            contentType: 'image/jpeg',
            bytes: 412_087,
            sha256: '9c1185a5c5e9fc54612808977ee8f548b2258d31a1c5f0f1b6d4a3e2c7b8d9e0',
          }),
        ),
      },
    },
    refusals: [
      {
        when: 'The body is shorter than was announced.',
        error: new DomainError(
          'invalid_request',
          'This upload URL takes exactly 412087 bytes, not fewer.',
          { errors: [] },
        ),
      },
      badUrl,
      {
        when: 'The URL was used already.',
        error: new DomainError(
          'conflict',
          'This upload URL was used already; ask for another one.',
        ),
      },
      {
        when: 'The body is longer than was announced.',
        error: new DomainError(
          'too_large',
          'This upload URL takes exactly 412087 bytes, not more.',
        ),
      },
      {
        when: 'The type is another one than was announced.',
        error: new DomainError(
          'unsupported_media_type',
          'This upload URL takes image/jpeg and nothing else.',
        ),
      },
      usualRefusals.internal,
    ],
  },
]
