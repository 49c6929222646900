import { errorTable } from '../../../domain/errors.ts'
import type { ErrorCode } from '../../../domain/errors.ts'
import type { Access } from '../access.ts'
import type { HeaderName } from './headers.ts'
import type { Operation, Reference, Response, SecurityRequirement } from './openapi.ts'
import { parameters } from './parameters.ts'
import { refusalResponse, usualRefusals } from './problems.ts'
import type { Refusal, UsualCode } from './problems.ts'
import type { Route, RouteAnswer } from './route.ts'

/** The whole operation of a route: what it says itself, and what holds for every such route. */
export function operationOf(route: Route, tag: string): Operation {
  const { operationId, summary, description, access, body, answers } = route
  const used = parametersOf(route).map((name) => ({ $ref: `#/components/parameters/${name}` }))
  const answered = Object.entries(answers).map(([status, answer]): [string, Response] => [
    status,
    responseOf(answer, isRepeatable(route)),
  ])
  return {
    ...{ operationId, tags: [tag], summary, description, security: securityOf(access) },
    ...(used.length > 0 ? { parameters: used } : {}),
    ...(body ? { requestBody: body } : {}),
    responses: Object.fromEntries([...answered, ...refusedResponses(route)]),
  }
}

/** Commands of somebody who is known take an Idempotency-Key. */
function isRepeatable({ method, access }: Route): boolean {
  return method !== 'get' && access !== 'public'
}

function parametersOf(route: Route): readonly string[] {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '')
  const key = isRepeatable(route) ? ['Idempotency-Key'] : []
  return [...inPath, ...(route.parameters ?? []), ...key]
}

/** OpenAPI 3.1 lets a bearer scheme name what it must reach: here scopes and roles. */
function securityOf(access: Access): readonly SecurityRequirement[] {
  if (access === 'public') return []
  if ('role' in access) return [{ adminToken: [access.role] }, { adminSession: [access.role] }]
  const key = { apiKey: [access.scope] }
  return access.clients ? [key, { clientToken: [] }] : [key]
}

function responseOf(answer: RouteAnswer, isReplayed: boolean): Response {
  const names: readonly HeaderName[] = [
    ...(answer.headers ?? []),
    ...(isReplayed ? (['Idempotent-Replayed'] as const) : []),
  ]
  const { description, content } = answer
  return { description, headers: headerRefs(names), ...(content ? { content } : {}) }
}

function headerRefs(names: readonly HeaderName[]): Readonly<Record<string, Reference>> {
  const all: readonly HeaderName[] = [...names, 'x-request-id']
  return Object.fromEntries(all.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

/** What routes refuse that have a body, a parameter, a key and so on. */
function usualCodes(route: Route): readonly UsualCode[] {
  const { access, body, method, path } = route
  const isKnown = access !== 'public'
  const takesJson = body !== undefined && isKnown
  return [
    ...(parametersOf(route).some(isChecked) || takesJson ? (['invalid_request'] as const) : []),
    ...(isKnown ? (['unauthenticated', 'forbidden'] as const) : []),
    ...(path.includes('{') && isKnown ? (['not_found'] as const) : []),
    ...(isRepeatable(route) ? (['idempotency_in_flight', 'idempotency_mismatch'] as const) : []),
    ...(takesJson ? (['too_large'] as const) : []),
    // A body that nobody asked for is looked at too.
    ...(takesJson || (isKnown && method !== 'get') ? (['unsupported_media_type'] as const) : []),
    ...(isKnown ? (['internal', 'unavailable'] as const) : []),
  ]
}

/** Whether a parameter has a form that is checked: those in paths are found or not. */
function isChecked(name: string): boolean {
  const known = Object.entries(parameters).find(([component]) => component === name)
  return known !== undefined && known[1].in !== 'path'
}

function refusedResponses(route: Route): readonly [string, Response | Reference][] {
  const own = route.refusals ?? []
  const usual = usualCodes(route).filter((code) => !own.some(({ error }) => error.code === code))
  const byStatus = new Map<number, Refusal[]>()
  for (const refusal of [...own, ...usual.map((code) => usualRefusals[code])]) {
    const { status } = errorTable[refusal.error.code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), refusal])
  }
  return [...byStatus].map(([status, refusals]) => [String(status), refused(refusals)])
}

/** A refusal that is the same everywhere stands in the components. */
function refused(refusals: readonly Refusal[]): Response | Reference {
  const [first, ...others] = refusals
  const isUsual = others.length === 0 && Object.values(usualRefusals).some((one) => one === first)
  if (first && isUsual) return { $ref: `#/components/responses/${first.error.code}` }
  return refusedBy(refusals)
}

function refusedBy(refusals: readonly Refusal[]): Response {
  return { ...refusalResponse(refusals), headers: headerRefs(refusals.flatMap(headersOf)) }
}

const comeBack: readonly HeaderName[] = ['Retry-After', 'RateLimit-Policy', 'RateLimit']

const refusalHeaders: Partial<Record<ErrorCode, readonly HeaderName[]>> = {
  unauthenticated: ['WWW-Authenticate'],
  idempotency_in_flight: ['Retry-After'],
  rate_limited: comeBack,
  quota_exceeded: comeBack,
  account_throttled: comeBack,
  unavailable: ['Retry-After'],
}

function headersOf({ error }: Refusal): readonly HeaderName[] {
  return refusalHeaders[error.code] ?? []
}

/** The refusals that are the same everywhere. */
export const usualResponses: Readonly<Record<string, Response>> = Object.fromEntries(
  Object.entries(usualRefusals).map(([code, refusal]) => [code, refusedBy([refusal])]),
)
