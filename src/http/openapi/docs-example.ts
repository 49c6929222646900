import type { Json } from '../../../domain/json.ts'
import { html } from './html.ts'
import type { Html, Part } from './html.ts'
import type { Content, Example } from './openapi.ts'

const tokenPattern = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null|-?\d+(?:\.\d+)?)\b/g

/** JSON with its members and values told apart. */
function coloured(text: string): Html {
  const parts: Part[] = []
  let from = 0
  for (const match of text.matchAll(tokenPattern)) {
    const [whole, quoted, colon, literal] = match
    parts.push(text.slice(from, match.index))
    if (quoted === undefined) parts.push(html`<b>${literal ?? ''}</b>`)
    else if (colon === undefined) parts.push(html`<i>${quoted}</i>`)
    else parts.push(html`<em>${quoted}</em>${colon}`)
    from = match.index + whole.length
  }
  return html`${parts}${text.slice(from)}`
}

/** A value as code; text stands as it is. */
export function code(label: Part, value: Json): Html {
  const body = typeof value === 'string' ? value : coloured(JSON.stringify(value, null, 2))
  return html`<figure class="sample">
    <figcaption>${label}</figcaption>
    <pre tabindex="0"><code>${body}</code></pre>
  </figure>`
}

/** Every example of a body: the first one open, the others folded. */
export function examplesOf(label: Part, content: Content | undefined): readonly Html[] {
  const all = Object.entries(content ?? {}).flatMap(([type, { examples = {} }]) =>
    Object.values(examples).map((one) => ({ type, ...one })),
  )
  return all.map(({ type, summary, value }, at) => {
    const about = html`${label}
      <span>${summary ?? (type === 'application/json' ? '' : type)}</span>`
    return at === 0 ? code(about, value) : folded(about, value)
  })
}

function folded(label: Part, value: Json): Html {
  const body = typeof value === 'string' ? value : coloured(JSON.stringify(value, null, 2))
  return html`<details class="sample">
    <summary>${label}</summary>
    <pre tabindex="0"><code>${body}</code></pre>
  </details>`
}

/** The first example of a body. */
export function firstExample(content: Content | undefined): Example | undefined {
  const [media] = Object.values(content ?? {})
  return Object.values(media?.examples ?? {})[0]
}
