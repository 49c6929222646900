import type { JobType } from '../../../workers/handlers/job-type.ts'
import { version } from '../../version.ts'
import { sessionCookie } from '../session-cookie.ts'
import { accountRoutes, objectRoutes } from './account-routes.ts'
import { accountSchemas } from './account-schemas.ts'
import { adminRoutes } from './admin-routes.ts'
import { adminSchemas } from './admin-schemas.ts'
import { headers } from './headers.ts'
import { introduction } from './introduction.ts'
import { jobRoutes } from './job-routes.ts'
import { jobSchemas } from './job-schemas.ts'
import { limitRoutes } from './limit-routes.ts'
import { limitSchemas } from './limit-schemas.ts'
import { metaRoutes } from './meta-routes.ts'
import type { OpenApi, PathItem, SecurityScheme } from './openapi.ts'
import { operationOf, usualResponses } from './operation.ts'
import { parameters } from './parameters.ts'
import { problemSchemas } from './problems.ts'
import type { Route } from './route.ts'
import { socket, socketSchemas } from './socket.ts'
import { webhookRoutes } from './webhook-routes.ts'
import { sessionRoutes, sessionSchemas } from './session-routes.ts'
import { webhooks, webhookSchemas } from './webhooks.ts'

/** What an installation adds to the document. */
export type DocumentOptions = {
  /** Without a slash at its end. */
  readonly baseUrl: string
  readonly jobTypes: ReadonlyMap<string, JobType>
}

type Area = {
  readonly name: string
  readonly description: string
  readonly routes: readonly Route[]
}

/** Every route, area by area, in the order in which a reader wants them. */
const areas: readonly Area[] = [
  {
    name: 'Jobs',
    description: 'Work that takes a while: submitted, watched, paid by what it used.',
    routes: jobRoutes,
  },
  {
    name: 'Account',
    description: 'What your organisation has, uses and hands out.',
    routes: [...accountRoutes, ...limitRoutes],
  },
  {
    name: 'Webhook endpoints',
    description: 'Where webhooks go, and what became of them.',
    routes: webhookRoutes,
  },
  {
    name: 'Objects',
    description: 'Where signed URLs lead while weir keeps inputs and results itself.',
    routes: objectRoutes,
  },
  {
    name: 'Admin',
    description: 'For those who run an installation. Commands leave an event with who and why.',
    routes: [...sessionRoutes, ...adminRoutes],
  },
  {
    name: 'Operations',
    description: 'What weir tells of itself.',
    routes: metaRoutes,
  },
]

const securitySchemes: Readonly<Record<string, SecurityScheme>> = {
  apiKey: {
    ...{ type: 'http', scheme: 'bearer' },
    bearerFormat: 'weir_live_<keyid>_<secret>_<checksum>',
    description:
      'A secret of your servers. It has the scopes `jobs:write`, `jobs:read`, `billing:read` and ' +
      '`webhooks:write`, or some of them.',
  },
  clientToken: {
    ...{ type: 'http', scheme: 'bearer' },
    bearerFormat: 'weir_client_<claims>.<signature>',
    description: 'For browsers: made by `POST /v1/tokens`, ends by itself.',
  },
  adminToken: {
    ...{ type: 'http', scheme: 'bearer' },
    bearerFormat: 'weir_admin_<operator>_<secret>_<checksum>',
    description: 'For operators, who are viewer < support < finance < owner.',
  },
  adminSession: {
    ...{ type: 'apiKey', in: 'cookie', name: sessionCookie },
    description: 'The session of an operator in a browser: made by `POST /v1/admin/session`.',
  },
}

/** Everything that weir promises to its callers, as OpenAPI 3.1. */
export function openApiDocument({ baseUrl, jobTypes }: DocumentOptions): OpenApi {
  return {
    openapi: '3.1.1',
    info: {
      title: 'weir',
      version,
      summary: 'Runs long AI jobs, meters every provider call and bills every credit.',
      description: introduction,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: baseUrl, description: 'This installation.' }],
    tags: areas.map(({ name, description }) => ({ name, description })),
    paths: paths(),
    webhooks,
    components: {
      schemas: {
        ...jobSchemas(jobTypes),
        ...accountSchemas,
        ...adminSchemas,
        ...sessionSchemas,
        ...limitSchemas,
        ...webhookSchemas,
        ...socketSchemas,
        ...problemSchemas,
      },
      parameters,
      headers,
      responses: usualResponses,
      securitySchemes,
    },
    'x-socket-io': socket,
  }
}

function paths(): Readonly<Record<string, PathItem>> {
  const items = new Map<string, PathItem>()
  for (const { name, routes } of areas) {
    for (const route of routes) {
      const item = { ...items.get(route.path), [route.method]: operationOf(route, name) }
      items.set(route.path, item)
    }
  }
  return Object.fromEntries(items)
}
