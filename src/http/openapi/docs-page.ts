import { code, examplesOf } from './docs-example.ts'
import { operationSection, parameterList } from './docs-operation.ts'
import type { Place } from './docs-operation.ts'
import { isSchema, kindOf, limitsOf, membersOf, plain } from './docs-schema.ts'
import { html, inline, prose, slug } from './html.ts'
import type { Html } from './html.ts'
import type { MediaType, OpenApi, Operation, Parameter, SocketMessage } from './openapi.ts'
import type { Schema } from './schema.ts'

type Section = { readonly id: string; readonly title: string; readonly body: Html }
type Chapter = Section & {
  readonly parts: readonly { readonly id: string; readonly title: string }[]
}

/** The document as a page for people: text and style, no script. */
export function docsPage(document: OpenApi): string {
  const { beginning, sections } = introductionOf(document)
  const chapters: readonly Chapter[] = [
    ...sections.map((section) => ({ ...section, parts: [] })),
    ...document.tags.map((tag) => chapterOf(document, tag)),
    liveUpdates(document),
    webhookChapter(document),
    schemaChapter(document),
  ]
  return pageOf(document, beginning, chapters).html
}

function pageOf(document: OpenApi, beginning: string, chapters: readonly Chapter[]): Html {
  const { title, version } = document.info
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="theme-color" content="#f3f6f5" media="(prefers-color-scheme: light)" />
        <meta name="theme-color" content="#0a1213" media="(prefers-color-scheme: dark)" />
        <meta
          name="description"
          content="The HTTP interface of weir: routes, live updates and webhooks."
        />
        <title>${title} · API reference</title>
        <link rel="icon" href="/mark.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/page.css" />
        <link rel="stylesheet" href="/docs.css" />
        <link rel="stylesheet" href="/docs-operation.css" />
      </head>
      <body class="reference">
        <a class="skip" href="#contents">Skip to the text</a>
        <header class="top">
          <a class="brand" href="/" aria-label="weir, the page">
            <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
              <path d="M3 10h10c6 0 3 12 9 12h7" />
              <path class="thin" d="M3 16h6c5 0 3 11 9 11h11" />
            </svg>
            <span>${title}</span>
          </a>
          <p class="fine">API ${plain(version)} · <a href="/v1/openapi.json">OpenAPI 3.1</a></p>
        </header>
        <div class="frame">
          <nav class="contents" aria-label="Contents">${contents(chapters)}</nav>
          <main id="contents">
            <div class="beginning">
              <h1>API reference</h1>
              ${prose(beginning)}
            </div>
            ${chapters.map(
              ({ id, title: name, body }) =>
                html`<section id="${id}">
                  <h2><a href="#${id}">${name}</a></h2>
                  ${body}
                </section>`,
            )}
          </main>
        </div>
      </body>
    </html> `
}

function contents(chapters: readonly Chapter[]): Html {
  const part = ({ id, title }: { id: string; title: string }) =>
    html`<li><a href="#${id}">${title}</a></li>`
  return html`<ul>
    ${chapters.map(
      ({ id, title, parts }) =>
        html`<li>
          <a href="#${id}">${title}</a>
          ${
            parts.length > 0
              ? html`<ul>
                  ${parts.map(part)}
                </ul>`
              : ''
          }
        </li>`,
    )}
  </ul>`
}

/** The introduction, cut at its headings. The errors get their table. */
function introductionOf(document: OpenApi): { beginning: string; sections: readonly Section[] } {
  const [beginning = '', ...pieces] = document.info.description.split(/^## /m)
  const sections = pieces.map((piece) => {
    const [title = '', ...lines] = piece.split('\n')
    const text = prose(lines.join('\n'))
    const table = title === 'Errors' ? errorTable(document) : ''
    return { id: slug(title), title, body: html`<div class="prose">${text}${table}</div>` }
  })
  return { beginning, sections }
}

function errorTable({ components }: OpenApi): Html {
  const rows = Object.values(components.schemas).flatMap((schema) => {
    const { properties, description } = schema
    const { code: known, status } = isSchema(properties) ? properties : {}
    const isProblem = isSchema(known) && isSchema(status) && 'const' in known && 'const' in status
    if (!isProblem) return []
    const meaning = typeof description === 'string' ? description : ''
    return [
      html`<tr>
        <td><b class="status refused">${plain(status['const'])}</b></td>
        <td><code>${plain(known['const'])}</code></td>
        <td>${meaning}</td>
      </tr>`,
    ]
  })
  return html`<div class="wide">
    <table>
      <thead>
        <tr>
          <th>status</th>
          <th>code</th>
          <th>meaning</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`
}

function chapterOf(document: OpenApi, tag: { name: string; description: string }): Chapter {
  const places = placesOf(document, tag.name)
  return {
    id: slug(tag.name),
    title: tag.name,
    body: html`<div class="prose">${prose(tag.description)}</div>
      ${places.map((place) => operationSection(document, place))}`,
    parts: places.map(({ operation }) => ({
      id: operation.operationId,
      title: operation.summary,
    })),
  }
}

/** In the order of the document, in which what makes a thing comes before what lists it. */
function placesOf(document: OpenApi, tag: string): readonly Place[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries<Operation>(item)
      .filter(([, operation]) => operation.tags.includes(tag))
      .map(([method, operation]) => ({ method, path, operation })),
  )
}

function liveUpdates(document: OpenApi): Chapter {
  const { path, description, auth, channels, emit, receive } = document['x-socket-io']
  const connect = [
    `import { io } from 'socket.io-client'`,
    '',
    `const socket = io('${document.servers[0]?.url ?? ''}', {`,
    `  path: '${path}',`,
    `  auth: { token },`,
    `})`,
    `socket.on('update', ({ channel, revision, type, job }) => {`,
    `  // …`,
    `})`,
    `const answer = await socket.emitWithAck(`,
    `  'subscribe',
  { channel, after },`,
    `)`,
  ].join('\n')
  const rows = Object.entries(channels).map(
    ([name, meaning]) =>
      html`<tr>
        <td><code>${name}</code></td>
        <td>${inline(meaning)}</td>
      </tr>`,
  )
  return {
    id: 'live-updates',
    title: 'Live updates',
    parts: [...Object.keys(emit), ...Object.keys(receive)].map((name) => ({
      id: `socket-${name}`,
      title: name,
    })),
    body: html`<article class="operation">
        <div class="text">
          <p class="route"><b class="verb">IO</b> <code>${path}</code></p>
          ${prose(description)}
          <p>Connect with ${kindOf(auth)} as <code>auth</code>.</p>
          <div class="wide">
            <table>
              <tbody>
                ${rows}
              </tbody>
            </table>
          </div>
        </div>
        <div class="samples">${code('Connect', connect)}</div>
      </article>
      ${Object.entries(emit).map(([name, event]) =>
        socketSection('emit', name, event, event.answer),
      )}
      ${Object.entries(receive).map(([name, event]) => socketSection('receive', name, event))}`,
  }
}

function socketSection(
  way: 'emit' | 'receive',
  name: string,
  { description, message }: SocketMessage,
  answer?: MediaType,
): Html {
  const body = { 'application/json': message }
  return html`<article class="operation" id="socket-${name}">
    <div class="text">
      <h3><a href="#socket-${name}">${name}</a></h3>
      <p class="route"><b class="verb ${way}">${way}</b> <code>${name}</code></p>
      <p>${inline(description)}</p>
      <p>${kindOf(message.schema)}${answer ? html` → ${kindOf(answer.schema)}` : ''}</p>
    </div>
    <div class="samples">
      ${examplesOf('Message', body)}
      ${answer ? examplesOf('Answer', { 'application/json': answer }) : ''}
    </div>
  </article>`
}

/** Webhooks differ in their type alone: they are shown as one, with a table of types. */
function webhookChapter(document: OpenApi): Chapter {
  const operations = Object.values(document.webhooks).flatMap(({ post }) => (post ? [post] : []))
  const first = operations[0]
  const parameters = (first?.parameters ?? []).filter((one): one is Parameter => !('$ref' in one))
  const rows = operations.map(
    ({ summary, description }) =>
      html`<tr>
        <td><code>${summary}</code></td>
        <td>${inline(description)}</td>
      </tr>`,
  )
  const responses = Object.entries(first?.responses ?? {}).map(
    ([status, response]) =>
      html`<li>
        <b class="status">${status}</b>
        <div><p>${inline('description' in response ? response.description : '')}</p></div>
      </li>`,
  )
  const examples = operations.flatMap(({ summary, requestBody }) =>
    examplesOf(summary, requestBody?.content),
  )
  return {
    id: 'webhooks',
    title: 'Webhooks',
    parts: [],
    body: html`<article class="operation">
      <div class="text">
        <p>
          Events go to the <a href="#webhook-endpoints">endpoints</a> of your organisation, signed
          with the secret of each, and to the <code>webhook</code> that a job names, signed with
          <a href="#getWebhookSecret">the organisation’s secret</a>: as Standard Webhooks 1.0.0
          says. What is not taken is sent again for some three days, with growing pauses.
        </p>
        <div class="wide">
          <table>
            <tbody>
              ${rows}
            </tbody>
          </table>
        </div>
        ${parameterList(parameters, 'Headers')}
        <h4>
          Body <a class="kind" href="#schema-WebhookEvent">WebhookEvent</a>
          <a class="kind" href="#schema-BalanceLow">BalanceLow</a>
          <a class="kind" href="#schema-LimitReached">LimitReached</a>
        </h4>
        <h4>What you answer</h4>
        <ul class="answers">
          ${responses}
        </ul>
      </div>
      <div class="samples">${examples.slice(-4)}</div>
    </article>`,
  }
}

function schemaChapter({ components }: OpenApi): Chapter {
  const known = Object.entries(components.schemas).filter(([name]) => !/.Problem$/.test(name))
  return {
    id: 'schemas',
    title: 'Schemas',
    parts: [],
    body: html`${known.map(([name, schema]) => schemaSection(name, schema))}`,
  }
}

function schemaSection(name: string, schema: Schema): Html {
  const { description } = schema
  return html`<article class="schema" id="schema-${name}">
    <h3><a href="#schema-${name}">${name}</a></h3>
    ${typeof description === 'string' ? html`<p>${inline(description)}</p>` : ''}
    ${schema['properties'] === undefined ? html`<p>${kindOf(schema)}</p>` : ''} ${limitsOf(schema)}
    ${membersOf(schema)}
  </article>`
}
