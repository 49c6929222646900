import { askOnce, askWeir, memberAt, textAt } from './api.ts'
import { argument, idempotencyKey, isSet, option, say, UsageError } from './command.ts'
import type { Command, Given } from './command.ts'

/** Commands about an organisation, as an operator. */
export const orgCommands: readonly Command[] = [
  {
    name: 'org create',
    usage: '<name> [--overdraft <microcredits>] [--key]',
    summary: 'Opens an organisation; --key issues its first API key, which is shown once.',
    options: {
      overdraft: { type: 'string', about: 'micro-credits by which it may go below zero' },
      key: { type: 'boolean', about: 'issues a key with all scopes' },
    },
    run: create,
  },
  {
    name: 'org grant',
    usage: '<orgId> <microcredits> --reason <text> [--kind promo] [--idempotency-key <key>]',
    summary: 'Gives credits to an organisation.',
    options: {
      reason: { type: 'string', about: 'is kept with the grant' },
      kind: { type: 'string', about: 'plan, purchase, promo, adjustment or refund' },
      'expires-at': { type: 'string', about: 'ISO 8601; without it the credits stay' },
      'idempotency-key': idempotencyKey,
    },
    run: grant,
  },
  {
    name: 'org limits',
    usage: '<orgId> [--set <json>]',
    summary: 'Shows the limits of an organisation; --set puts a JSON list in their place.',
    options: { set: { type: 'string', about: 'all limits from now on, as a JSON list' } },
    run: limits,
  },
]

const pathOf = (orgId: string, rest = ''): string =>
  `/v1/admin/orgs/${encodeURIComponent(orgId)}${rest}`

async function create(given: Given): Promise<number> {
  const name = argument(given, 0, 'name')
  const overdraft = option(given, 'overdraft')
  const body = overdraft === undefined ? { name } : { name, overdraft }
  const org = await askWeir('admin', '/v1/admin/orgs', { method: 'POST', body })
  const orgId = textAt(org, 'orgId') ?? ''
  say(orgId)
  if (!isSet(given, 'key')) return 0
  const request = { method: 'POST', body: { name: 'first key' } } as const
  const key = await askWeir('admin', pathOf(orgId, '/keys'), request)
  say(textAt(key, 'apiKey') ?? '')
  return 0
}

async function grant(given: Given): Promise<number> {
  const orgId = argument(given, 0, 'orgId')
  const amount = argument(given, 1, 'microcredits')
  const reason = option(given, 'reason')
  if (reason === undefined) throw new UsageError('--reason is missing: it is kept with the grant.')
  const expiresAt = option(given, 'expires-at')
  const kind = option(given, 'kind') ?? 'promo'
  const body = { amount, kind, reason, ...(expiresAt === undefined ? {} : { expiresAt }) }
  const answer = await askOnce('admin', pathOf(orgId, '/grants'), body, given)
  say(`Granted ${amount} micro-credits: ${textAt(answer, 'grantId') ?? ''}`.trimEnd())
  return 0
}

async function limits(given: Given): Promise<number> {
  const orgId = argument(given, 0, 'orgId')
  const set = option(given, 'set')
  if (set !== undefined) {
    const body = { limits: parseList(set) }
    await askWeir('admin', pathOf(orgId, '/limits'), { method: 'PUT', body })
  }
  const org = await askWeir('admin', pathOf(orgId))
  say(JSON.stringify(memberAt(org, 'limits') ?? [], null, 2))
  return 0
}

function parseList(text: string): unknown {
  try {
    const list: unknown = JSON.parse(text)
    if (Array.isArray(list)) return list
  } catch {
    // Told below.
  }
  throw new UsageError('--set must be a JSON list of limits.')
}
