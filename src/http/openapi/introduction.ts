import { userIdLengthMax } from '../../commands/job-request.ts'
import { bodyBytesMax, jsonDepthMax } from '../json-body.ts'
import { limitDefault, limitMax } from '../paging.ts'

/** What holds for all routes: CommonMark, as OpenAPI wants it. */
export const introduction = `weir runs long AI jobs. Submitting one holds its credits, a worker
runs it, every call to a provider is metered, and what was not used comes back.

## Authentication

Send \`Authorization: Bearer …\` with one of three:

- an **API key** (\`weir_live_…\`) from your servers. It has scopes: \`jobs:write\`,
  \`jobs:read\`, \`billing:read\`, \`webhooks:write\`. Each route names the one that it needs.
- a **client token** (\`weir_client_…\`) from browsers. Your server makes it with \`POST
  /v1/tokens\`; it reads and watches the jobs of one of your users, and ends by itself.
- an **admin token** (\`weir_admin_…\`) for \`/v1/admin\`. Its operator is a viewer, support,
  finance or owner; each includes the ones before it. A browser has a session instead.

## Requests

Bodies are JSON in UTF-8: at most ${bodyBytesMax / 1_000_000} MB, ${jsonDepthMax} levels deep,
without members that are not described here. A \`userId\` has at most ${userIdLengthMax}
characters, \`metadata\` at most 16 KB. Times are ISO 8601; amounts of money are strings of
integers in micro-credits: \`"1000000"\` is one credit. A path without \`/v1\` means this version.

Every response carries \`x-request-id\`. Send a \`traceparent\` (W3C), and the job becomes part of
your trace.

## What is immediate

A command is in force for requests that start after its answer. \`GET /v1/jobs/{jobId}\`, its
events and the arithmetic of a 402 or 429 never lag. Lists, usage, balance and holds are read
models: they may lag, normally well under a second.

## Idempotency

Commands take an \`Idempotency-Key\` of 1 to 255 printable characters. It belongs
to your organisation, the method and the path, and is kept for 24 hours.

- The same request again gets the first answer again: status, body and \`Location\`, with
  \`Idempotent-Replayed: true\`. Bodies are compared as parsed JSON.
- Another body gets 422 \`idempotency_mismatch\`.
- While the first request is still being answered, others get 409 \`idempotency_in_flight\` with
  \`Retry-After: 1\`.
- Refusals are not kept: correct the request and send it again with the same key.

## Lists

Lists answer \`{ items, nextCursor }\`, newest first, with ${limitDefault} items per page or as
many as \`limit\` says, ${limitMax} at most. Ask for the next page with \`cursor=<nextCursor>\`
and the same filters. \`from\` is inclusive, \`to\` is exclusive.

## Limits

What an organisation may submit can be limited: requests, units and credits per time, and jobs
that run at once. Answers to counted requests carry \`RateLimit-Policy\` and \`RateLimit\`; beyond
a limit comes 429, and \`Retry-After\` says when to come back.

## Errors

Refusals are \`application/problem+json\` (RFC 9457). Decide by \`code\`: its meaning never
changes. Each route lists the codes that it has; what they mean stands in the table of errors.
`
