/** Text that is HTML already. Everything else is escaped. */
export type Html = { readonly html: string }

export type Part = Html | string | number | readonly Part[]

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character)
}

/** HTML of a template: what stands in it is escaped, unless it is HTML itself. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { html: texts.map((text, at) => text + textOf(parts[at] ?? '')).join('') }
}

function textOf(part: Part): string {
  if (typeof part === 'string' || typeof part === 'number') return escaped(String(part))
  if (isList(part)) return part.map(textOf).join('')
  return part.html
}

function isList(part: Part): part is readonly Part[] {
  return Array.isArray(part)
}

/** `Live updates` → `live-updates`. */
export function slug(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, '-')
}

const inlinePattern = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((#[\w-]+)\)/g

/** A line of CommonMark, as far as descriptions here use it: code, strong text and links. */
export function inline(text: string): Html {
  const parts: Part[] = []
  let from = 0
  for (const match of text.matchAll(inlinePattern)) {
    const [whole, code, strong, label, target] = match
    parts.push(text.slice(from, match.index))
    if (code !== undefined) parts.push(html`<code>${code}</code>`)
    else if (strong !== undefined) parts.push(html`<strong>${inline(strong)}</strong>`)
    else parts.push(html`<a href="${target ?? ''}">${label ?? ''}</a>`)
    from = match.index + whole.length
  }
  return html`${parts}${text.slice(from)}`
}

/** Paragraphs and lists of CommonMark. */
export function prose(text: string): Html {
  const blocks = text.split(/\n{2,}/).filter((block) => block.trim() !== '')
  return html`${blocks.map(block)}`
}

function block(text: string): Html {
  const [first = ''] = text.split('\n')
  if (!first.startsWith('- ')) return html`<p>${inline(oneLine(text))}</p>`
  const items = text.split(/^- /m).filter((item) => item.trim() !== '')
  return html`<ul>
    ${items.map((item) => html`<li>${inline(oneLine(item))}</li>`)}
  </ul>`
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ')
}
