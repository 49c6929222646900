import { code, examplesOf, firstExample } from './docs-example.ts'
import { kindOf, limitsOf, membersOf, nameOf, plain, separated } from './docs-schema.ts'
import { html, inline, prose } from './html.ts'
import type { Html, Part } from './html.ts'
import type { Content, OpenApi, Operation, Parameter, Reference, Response } from './openapi.ts'

/** One operation and where it is found. */
export type Place = {
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

/** A route: what it does, what it takes and answers; examples beside it. */
export function operationSection(document: OpenApi, place: Place): Html {
  const { method, path, operation } = place
  const { operationId, summary, description, responses } = operation
  const parameters = parametersOf(document, operation)
  return html`<article class="operation" id="${operationId}">
    <div class="text">
      <h3><a href="#${operationId}">${summary}</a></h3>
      <p class="route">
        <b class="verb ${method}">${method.toUpperCase()}</b> <code>${path}</code>
      </p>
      ${accessOf(operation)} ${prose(description)} ${parameterList(parameters)}
      ${bodyOf(document, operation)} ${answersOf(document, operation)}
      ${refusalsOf(document, operation)}
    </div>
    <div class="samples">
      ${code('Request', curlOf(document, place, parameters))}
      ${Object.entries(responses)
        .filter(([status]) => isAnswer(status))
        .flatMap(([status, response]) =>
          examplesOf(html`Answer ${status}`, resolved(document, response).content),
        )}
    </div>
  </article>`
}

function isAnswer(status: string): boolean {
  return status < '400'
}

function resolved(document: OpenApi, response: Response | Reference): Response {
  if (!('$ref' in response)) return response
  const found = document.components.responses[lastOf(response)]
  if (!found) throw new Error(`${response.$ref} leads nowhere`)
  return found
}

function parametersOf(document: OpenApi, { parameters = [] }: Operation): readonly Parameter[] {
  return parameters.map((parameter) => {
    if (!('$ref' in parameter)) return parameter
    const found = document.components.parameters[lastOf(parameter)]
    if (!found) throw new Error(`${parameter.$ref} leads nowhere`)
    return found
  })
}

function lastOf({ $ref }: Reference): string {
  return $ref.slice($ref.lastIndexOf('/') + 1)
}

const schemeNames: Readonly<Record<string, string>> = {
  apiKey: 'API key',
  clientToken: 'client token',
  adminToken: 'admin token',
  adminSession: 'session',
}

function accessOf({ security }: Operation): Html {
  const ways = security.flatMap(Object.entries<readonly string[]>).map(([scheme, needs]) => {
    const name = schemeNames[scheme] ?? scheme
    const reach = needs.map((need) => html` <code>${need}</code>`)
    return html`${name}${reach}`
  })
  if (ways.length === 0) return html`<p class="access">Open to everybody</p>`
  return html`<p class="access">Needs ${separated(ways, ' or ')}</p>`
}

export function parameterList(parameters: readonly Parameter[], title = 'Parameters'): Html {
  if (parameters.length === 0) return html``
  return html`<h4>${title}</h4>
    <ul class="members">
      ${parameters.map(
        ({ name, in: where, description, schema, required }) =>
          html`<li>
            <p class="member">
              <code>${name}</code> <span class="kind">${where}</span>
              ${required ? html`<span class="must">required</span>` : ''}
            </p>
            <p>${inline(description)}</p>
            ${limitsOf(schema)}
          </li>`,
      )}
    </ul>`
}

function bodyOf(document: OpenApi, { requestBody }: Operation): Html {
  if (!requestBody) return html``
  const { content, required } = requestBody
  const optional = required ? '' : html` <span class="kind">may be left out</span>`
  return html`<h4>Body ${contentKinds(content)}${optional}</h4>
    ${Object.values(content).map(({ schema }) => {
      const name = nameOf(schema)
      const known = name === null ? schema : (document.components.schemas[name] ?? schema)
      return membersOf(known)
    })}`
}

export function contentKinds(content: Content | undefined): Html {
  const kinds = Object.entries(content ?? {}).map(([type, { schema }]) =>
    nameOf(schema) === null ? html`<span class="kind">${type}</span>` : kindOf(schema),
  )
  return separated(kinds, ' or ')
}

function answersOf(document: OpenApi, { responses }: Operation): Html {
  const answers = Object.entries(responses).filter(([status]) => isAnswer(status))
  return html`<h4>Answers</h4>
    <ul class="answers">
      ${answers.map(([status, response]) => answerItem(status, resolved(document, response)))}
    </ul>`
}

/** `x-request-id` comes with every response, and is named once, in the introduction. */
function answerItem(status: string, { description, content, headers = {} }: Response): Html {
  const names = Object.keys(headers).filter((name) => name !== 'x-request-id')
  const said = names.map((name) => html`<code>${name}</code>`)
  return html`<li>
    <b class="status">${status}</b>
    <div>
      <p>${inline(description)} ${contentKinds(content)}</p>
      ${said.length > 0 ? html`<p class="limits">with ${separated(said, ' ')}</p>` : ''}
    </div>
  </li>`
}

/** Its own refusals first; those that are the same everywhere are folded. */
function refusalsOf(document: OpenApi, { responses }: Operation): Html {
  const refused = Object.entries(responses).filter(([status]) => !isAnswer(status))
  const own = refused.filter(([, response]) => !('$ref' in response))
  const usual = refused.filter(([, response]) => '$ref' in response)
  if (refused.length === 0) return html``
  const item = ([status, response]: [string, Response | Reference]): Part =>
    html`<li>
      <b class="status refused">${status}</b>
      <div>${prose(resolved(document, response).description)}</div>
    </li>`
  const statuses = usual.map(([status]) => status).join(', ')
  return html`<h4>Refusals</h4>
    ${
      own.length > 0
        ? html`<ul class="answers">
            ${own.map(item)}
          </ul>`
        : ''
    }
    ${
      usual.length > 0
        ? html`<details class="usual">
            <summary>As everywhere: ${statuses}</summary>
            <ul class="answers">
              ${usual.map(item)}
            </ul>
          </details>`
        : ''
    }`
}

const tokenNames: Readonly<Record<string, string>> = {
  apiKey: 'WEIR_API_KEY',
  adminToken: 'WEIR_ADMIN_TOKEN',
}

/** The request as a command for a shell. */
function curlOf(
  document: OpenApi,
  { method, path, operation }: Place,
  parameters: readonly Parameter[],
): string {
  const exampleOf = (name: string): string => {
    const known = parameters.find((parameter) => parameter.name === name)
    return plain(known?.example ?? name)
  }
  const [server] = document.servers
  const address =
    (server?.url ?? '') + path.replace(/\{(\w+)\}/g, (_, name) => exampleOf(String(name)))
  const [scheme] = operation.security.flatMap((way) => Object.keys(way))
  const token = scheme === undefined ? undefined : tokenNames[scheme]
  const hasKey = parameters.some(({ name }) => name === 'Idempotency-Key')
  const body = firstExample(operation.requestBody?.content)
  const isDefault = method === 'get' || (method === 'post' && body !== undefined)
  const flags = [
    ...(isDefault ? [] : [`-X ${method.toUpperCase()}`]),
    ...(token === undefined ? [] : [`-H "Authorization: Bearer $${token}"`]),
    ...(hasKey ? [`-H 'Idempotency-Key: ${exampleOf('Idempotency-Key')}'`] : []),
    ...(body === undefined ? [] : ["-H 'Content-Type: application/json'"]),
    ...(body === undefined ? [] : [`-d ${quoted(JSON.stringify(body.value, null, 2))}`]),
  ]
  return [`curl ${address}`, ...flags].join(' \\\n  ')
}

/** For a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
