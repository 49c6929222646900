import { DomainError } from '../errors.ts'
import { isoTime } from '../ports/clock.ts'
import { unreachable } from '../unreachable.ts'
import type { WebhookEndpointEvent } from './account-events.ts'

/**
 * The URLs that an org registered for its webhooks.
 *
 *                             ┌────────────────────── enable ─────────────────────┐
 *                             ▼                                                   │
 *   (none) ── register ──▶ enabled ── rotate* ──▶ enabled ── answered 410 ──▶ disabled
 *                             └──────── remove ────────▶ removed ◀──────── remove ──┘
 */

/** Endpoints of one org, disabled ones included. */
export const endpointsMax = 20
/** How long the secret before a rotation signs as well, ms. */
export const secretOverlapMs = 24 * 3_600_000
/** Secrets that sign for an endpoint at the same time: every one makes the header longer. */
export const secretsMax = 5
/** Removed endpoints that are remembered, so that removing one twice is done already. */
const removedMax = 100

const firstSecretVersion = 1

/** A secret that was replaced, and when it ends. */
export type EndingSecret = { readonly secretVersion: number; readonly endsAt: string }

export type WebhookEndpoint = {
  readonly endpointId: string
  readonly url: string
  /** Null: what a webhook gets when it does not say. */
  readonly events: readonly string[] | null
  readonly registeredAt: string
  /** Null while it is enabled. */
  readonly disabledAt: string | null
  readonly secretVersion: number
  /** Newest first; those that had ended at the last rotation are forgotten. */
  readonly endingSecrets: readonly EndingSecret[]
  /** Those that made the secrets which are known here. */
  readonly rotationIds: readonly string[]
}

export type WebhookEndpoints = {
  /** Oldest first. */
  readonly all: readonly WebhookEndpoint[]
  readonly removedIds: readonly string[]
}

export const noEndpoints: WebhookEndpoints = { all: [], removedIds: [] }

export type WebhookEndpointCommand =
  | {
      readonly type: 'RegisterWebhookEndpoint'
      readonly endpointId: string
      readonly url: string
      readonly events: readonly string[] | null
      readonly at: string
    }
  | { readonly type: 'RemoveWebhookEndpoint'; readonly endpointId: string; readonly at: string }
  | {
      readonly type: 'RotateWebhookSecret'
      readonly endpointId: string
      readonly rotationId: string
      readonly at: string
    }
  | {
      readonly type: 'DisableWebhookEndpoint'
      readonly endpointId: string
      readonly deliveryId: string
      readonly at: string
    }
  | { readonly type: 'EnableWebhookEndpoint'; readonly endpointId: string; readonly at: string }

/** An endpoint of the org. @throws DomainError `not_found` */
export function existingEndpoint(endpoints: WebhookEndpoints, endpointId: string): WebhookEndpoint {
  const found = endpoints.all.find((endpoint) => endpoint.endpointId === endpointId)
  if (!found) throw new DomainError('not_found', 'There is no such webhook endpoint.')
  return found
}

/** Versions of the secrets that sign at that time, newest first. */
export function secretVersionsAt(endpoint: WebhookEndpoint, at: string): readonly number[] {
  const ending = endpoint.endingSecrets.filter(({ endsAt }) => endsAt > at)
  return [endpoint.secretVersion, ...ending.map(({ secretVersion }) => secretVersion)]
}

export function evolveEndpoints(
  endpoints: WebhookEndpoints,
  event: WebhookEndpointEvent,
): WebhookEndpoints {
  const change = (to: (endpoint: WebhookEndpoint) => WebhookEndpoint): WebhookEndpoints => {
    const { endpointId } = event.data
    const all = endpoints.all.map((each) => (each.endpointId === endpointId ? to(each) : each))
    return { ...endpoints, all }
  }
  switch (event.type) {
    case 'WebhookEndpointRegistered': {
      const { endpointId, url, events, registeredAt } = event.data
      const about = { endpointId, url, events, registeredAt, disabledAt: null }
      const secrets = { secretVersion: firstSecretVersion, endingSecrets: [], rotationIds: [] }
      return { ...endpoints, all: [...endpoints.all, { ...about, ...secrets }] }
    }
    case 'WebhookEndpointRemoved': {
      const { endpointId } = event.data
      const all = endpoints.all.filter((endpoint) => endpoint.endpointId !== endpointId)
      const removedIds = [...endpoints.removedIds, endpointId].slice(-removedMax)
      return { all, removedIds }
    }
    case 'WebhookSecretRotated': {
      const { rotationId, secretVersion, rotatedAt, previousEndsAt } = event.data
      return change((endpoint) => {
        const previous = { secretVersion: endpoint.secretVersion, endsAt: previousEndsAt }
        const ending = endpoint.endingSecrets.filter(({ endsAt }) => endsAt > rotatedAt)
        const endingSecrets = [previous, ...ending]
        const rotationIds = [rotationId, ...endpoint.rotationIds].slice(0, secretsMax)
        return { ...endpoint, secretVersion, endingSecrets, rotationIds }
      })
    }
    case 'WebhookEndpointDisabled':
      return change((endpoint) => ({ ...endpoint, disabledAt: event.data.disabledAt }))
    case 'WebhookEndpointEnabled':
      return change((endpoint) => ({ ...endpoint, disabledAt: null }))
    default:
      return unreachable(event)
  }
}

type Of<Type extends WebhookEndpointCommand['type']> = Extract<
  WebhookEndpointCommand,
  { type: Type }
>

export function decideEndpoints(
  endpoints: WebhookEndpoints,
  command: WebhookEndpointCommand,
): readonly WebhookEndpointEvent[] {
  switch (command.type) {
    case 'RegisterWebhookEndpoint':
      return register(endpoints, command)
    case 'RemoveWebhookEndpoint':
      return remove(endpoints, command)
    case 'RotateWebhookSecret':
      return rotate(endpoints, command)
    case 'DisableWebhookEndpoint':
      return disable(endpoints, command)
    case 'EnableWebhookEndpoint':
      return enable(endpoints, command)
    default:
      return unreachable(command)
  }
}

function register(
  { all, removedIds }: WebhookEndpoints,
  { endpointId, url, events, at }: Of<'RegisterWebhookEndpoint'>,
): readonly WebhookEndpointEvent[] {
  const isKnown = all.some((endpoint) => endpoint.endpointId === endpointId)
  if (isKnown || removedIds.includes(endpointId)) return []
  if (all.length >= endpointsMax) {
    const detail = `An organisation has at most ${endpointsMax} webhook endpoints; remove one.`
    throw new DomainError('conflict', detail)
  }
  const data = { endpointId, url, events, registeredAt: at }
  return [{ type: 'WebhookEndpointRegistered', data }]
}

function remove(
  endpoints: WebhookEndpoints,
  { endpointId, at }: Of<'RemoveWebhookEndpoint'>,
): readonly WebhookEndpointEvent[] {
  if (endpoints.removedIds.includes(endpointId)) return []
  existingEndpoint(endpoints, endpointId)
  return [{ type: 'WebhookEndpointRemoved', data: { endpointId, removedAt: at } }]
}

function rotate(
  endpoints: WebhookEndpoints,
  { endpointId, rotationId, at }: Of<'RotateWebhookSecret'>,
): readonly WebhookEndpointEvent[] {
  const endpoint = existingEndpoint(endpoints, endpointId)
  if (endpoint.rotationIds.includes(rotationId)) return []
  if (secretVersionsAt(endpoint, at).length >= secretsMax) {
    const detail = `${secretsMax} secrets of this endpoint are valid; wait until one has ended.`
    throw new DomainError('conflict', detail)
  }
  const secretVersion = endpoint.secretVersion + 1
  const previousEndsAt = isoTime(Date.parse(at) + secretOverlapMs)
  const data = { endpointId, rotationId, secretVersion, rotatedAt: at, previousEndsAt }
  return [{ type: 'WebhookSecretRotated', data }]
}

/** An endpoint that was removed meanwhile, or is not known, gets nothing anyway. */
function disable(
  { all }: WebhookEndpoints,
  { endpointId, deliveryId, at }: Of<'DisableWebhookEndpoint'>,
): readonly WebhookEndpointEvent[] {
  const endpoint = all.find((each) => each.endpointId === endpointId)
  if (!endpoint || endpoint.disabledAt !== null) return []
  return [{ type: 'WebhookEndpointDisabled', data: { endpointId, deliveryId, disabledAt: at } }]
}

function enable(
  endpoints: WebhookEndpoints,
  { endpointId, at: enabledAt }: Of<'EnableWebhookEndpoint'>,
): readonly WebhookEndpointEvent[] {
  const { url, events, disabledAt } = existingEndpoint(endpoints, endpointId)
  if (disabledAt === null) return []
  return [{ type: 'WebhookEndpointEnabled', data: { endpointId, url, events, enabledAt } }]
}
