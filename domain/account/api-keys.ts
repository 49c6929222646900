import { DomainError } from '../errors.ts'
import { unreachable } from '../unreachable.ts'
import type { AccountCommand } from './account-commands.ts'
import type { ApiKeyIssued, ApiKeyRevoked, Scope } from './account-events.ts'

/** Live API keys of one org. */
export const apiKeysMax = 50

export type ApiKey = {
  readonly keyId: string
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly secretSha256: string
  readonly issuedAt: string
}

/** The part of an account that is about its keys. */
export type ApiKeys = {
  readonly keys: readonly ApiKey[]
  readonly revokedKeyIds: readonly string[]
}

export function evolveKeys(
  { keys, revokedKeyIds }: ApiKeys,
  event: ApiKeyIssued | ApiKeyRevoked,
): ApiKeys {
  switch (event.type) {
    case 'ApiKeyIssued': {
      const { keyId, name, scopes, secretSha256, issuedAt } = event.data
      return { keys: [...keys, { keyId, name, scopes, secretSha256, issuedAt }], revokedKeyIds }
    }
    case 'ApiKeyRevoked': {
      const { keyId } = event.data
      const left = keys.filter((key) => key.keyId !== keyId)
      return { keys: left, revokedKeyIds: [...revokedKeyIds, keyId] }
    }
    default:
      return unreachable(event)
  }
}

type Of<Type extends AccountCommand['type']> = Extract<AccountCommand, { type: Type }>

export function issueKey(
  { keys, revokedKeyIds }: ApiKeys,
  { type: _, ...key }: Of<'IssueApiKey'>,
): readonly ApiKeyIssued[] {
  const known = [...keys.map(({ keyId }) => keyId), ...revokedKeyIds]
  if (known.includes(key.keyId)) return []
  if (keys.length >= apiKeysMax) {
    throw new DomainError('conflict', `An organisation has at most ${apiKeysMax} live API keys.`)
  }
  return [{ type: 'ApiKeyIssued', data: key }]
}

export function revokeKey(
  { keys, revokedKeyIds }: ApiKeys,
  { keyId, at }: Of<'RevokeApiKey'>,
): readonly ApiKeyRevoked[] {
  if (revokedKeyIds.includes(keyId)) return []
  if (!keys.some((key) => key.keyId === keyId)) {
    throw new DomainError('not_found', 'There is no such API key.')
  }
  return [{ type: 'ApiKeyRevoked', data: { keyId, revokedAt: at } }]
}
