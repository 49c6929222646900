// What the page shows of a job: its events, its cost, and what went wrong. Text only enters the
// document as text.

import { bytes, clock, credits, decimalsOf, duration, quantity } from './format.js'

/** An element with attributes and children; a string child is text. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  node.append(...children)
  return node
}

const TONES = {
  'job.succeeded': 'good',
  'job.failed': 'bad',
  'job.expired': 'bad',
  'job.canceled': 'warn',
  'job.cancel_requested': 'warn',
  'job.retry_scheduled': 'warn',
}

function noteOf({ type, job }, held) {
  switch (type) {
    case 'job.queued':
    case 'job.requeued':
      return `${credits(held ?? job.credits.held)} credits held`
    case 'job.started':
      return `Attempt ${job.attempt}, on a worker`
    case 'job.step_completed':
      return 'Kept, a retry does not pay it'
    case 'job.succeeded':
      return job.result === null ? '' : `${bytes(job.result.bytes)} stored`
    case 'job.failed':
    case 'job.retry_scheduled':
      return job.error?.message ?? ''
    case 'job.canceled':
      return 'The hold is released'
    case 'job.expired':
      return 'Not started in time, not billed'
    default:
      return ''
  }
}

/** One line of the timeline. `start` is the first event's time, in milliseconds. */
export function eventLine(event, start, held) {
  const line = make('li', { 'data-type': event.type, 'data-tone': TONES[event.type] ?? '' })
  const sinceStart = Date.parse(event.at) - start
  const passed = sinceStart === 0 ? '0 ms' : `+${duration(sinceStart)}`
  line.append(
    make('span', { class: 'event-name' }, event.type, make('small', {}, `#${event.revision}`)),
    make('span', { class: 'event-time figure' }, passed),
    make('span', { class: 'event-note' }, noteOf(event, held)),
    make('time', { class: 'event-clock figure', datetime: event.at }, clock(event.at)),
  )
  return line
}

function sumTable(rows) {
  const decimals = Math.max(...rows.map(({ micro }) => decimalsOf(micro)))
  const table = make('table', { class: 'sum' })
  const body = table.appendChild(make('tbody'))
  for (const { label, micro, kind } of rows) {
    const row = make('tr', { class: kind ?? '' })
    row.append(make('th', { scope: 'row' }, label), make('td', {}, credits(micro, decimals)))
    body.append(row)
  }
  return table
}

function usageTable(rows) {
  const count = rows.length === 1 ? '1 provider call' : `${rows.length} provider calls`
  const table = make('table', { class: 'usage' }, make('caption', {}, count))
  const head = make('tr')
  for (const name of ['Provider', 'Units', 'Time', 'Credits']) {
    head.append(make('th', { scope: 'col' }, name))
  }
  table.append(make('thead', {}, head))
  const body = table.appendChild(make('tbody'))
  for (const row of rows) {
    const provider = make('td', {}, row.provider)
    if (row.model) provider.append(make('small', {}, row.model))
    const units = Object.entries(row.units).map(([unit, count]) => quantity(unit, count))
    body.append(
      make(
        'tr',
        {},
        provider,
        make('td', {}, units.join(', ')),
        make('td', { class: 'figure' }, duration(row.ms)),
        make('td', { class: 'figure' }, credits(row.chargedMicro)),
      ),
    )
  }
  return table
}

/**
 * The bill of a job: { held, charged, before, after, usage, settled }, amounts in micro-credits;
 * `before` and `after` are posted balances, null when not known (yet).
 */
export function receipt({ held, charged, before, after, usage, settled }) {
  const amount = make('strong', { class: 'figure', id: 'charged' }, credits(charged))
  const label = make('span', { class: 'muted' }, settled ? 'credits charged' : 'charged so far')
  const rows = []
  if (before !== null) rows.push({ label: 'Balance before', micro: before })
  if (held !== null) {
    rows.push({ label: 'Held at the start', micro: held })
    const rest = BigInt(held) - BigInt(charged)
    if (settled) rows.push({ label: 'Came back', micro: rest > 0n ? rest : 0n })
  }
  rows.push({ label: 'Charged', micro: -BigInt(charged) })
  if (after !== null) rows.push({ label: 'Balance after', micro: after, kind: 'rule total' })
  const parts = [make('p', { class: 'charge' }, amount, label), sumTable(rows)]
  if (usage.length > 0) parts.push(usageTable(usage))
  const proof = proofOf({ charged, before, after, usage })
  if (settled && proof !== null) parts.push(make('p', { class: 'proof' }, proof))
  return parts
}

/** The sentence that the numbers agree, or null while they do not. */
function proofOf({ charged, before, after, usage }) {
  const metered = usage.reduce((sum, row) => sum + BigInt(row.chargedMicro), 0n)
  if (metered !== BigInt(charged) || usage.length === 0) return null
  if (before === null || after === null) return 'Charged is exactly what was metered.'
  return BigInt(before) - metered === BigInt(after)
    ? 'The balance is down by exactly what was metered.'
    : 'Charged is exactly what was metered. Other jobs moved the balance too.'
}

const TITLES = {
  insufficient_credits: 'Not enough credits',
  unreachable: 'The server does not answer',
  unauthenticated: 'This key is not accepted',
  forbidden: 'This key may not do that',
  too_large: 'This picture is too large',
  unsupported_media_type: 'This is not a picture weir can read',
  wrong_type: 'This is not a picture weir can read',
  unreadable: 'This picture cannot be opened',
  invalid_input: 'The job was not accepted',
  rate_limited: 'Too many requests',
  quota_exceeded: 'The quota is used up',
  account_throttled: 'This account is slowed down',
  account_banned: 'This account is closed',
}

function arithmetic({ required, available }) {
  const short = BigInt(required) - BigInt(available)
  return sumTable([
    { label: 'This job needs', micro: required },
    { label: 'Available', micro: available },
    { label: 'Short by', micro: short, kind: 'rule total' },
  ])
}

/** What to say about a problem: a title, a sentence, and the arithmetic of a 402. */
export function problemNotice({ code, message, body = {} }) {
  const text = make('div', {}, make('h2', {}, TITLES[code] ?? 'That did not work'))
  const parts = [text]
  if (code === 'insufficient_credits' && body.required !== undefined) {
    const held = BigInt(body.held ?? 0)
    const others = held > 0n ? ` ${credits(held)} credits are held by other jobs.` : ''
    text.append(make('p', {}, `Nothing was queued, held or charged.${others}`))
    parts.push(arithmetic(body))
  } else {
    const first = body.errors?.[0]?.detail
    text.append(make('p', {}, first && first !== message ? `${message} ${first}` : message))
  }
  if (body.requestId) {
    text.append(make('p', { class: 'fine' }, 'Request ', make('code', {}, body.requestId)))
  }
  return parts
}

/** One line in the list of requests. */
export function requestLine({ method, path, status, ms }) {
  const ok = typeof status === 'number' && status < 400
  const [address] = path.split('?')
  return make(
    'li',
    { 'data-ok': String(ok) },
    make('span', {}, method),
    make('span', { title: path }, /^https?:/.test(path) ? path : path.length > 90 ? address : path),
    make('span', {}, String(status)),
    make('span', {}, duration(ms)),
  )
}
