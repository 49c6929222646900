import { accountStream } from '../../domain/account/account.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { operatorsStream } from '../../domain/operators/operators.ts'
import { priceBookStream } from '../../domain/pricing/price-book.ts'
import type { PriceLine } from '../../domain/pricing/price-book.ts'
import { allScopes } from '../../domain/account/account-events.ts'
import {
  derivedBytes,
  newAdminToken,
  newApiKey,
  toBase62,
  webhookSecretOf,
} from '../http/credentials.ts'
import { passwordHash, saltBytes } from '../http/password.ts'
import type { DevFile } from '../supervisor/dev-file.ts'
import type { Profile } from './profile.ts'

const demoCreditsMicro = 100_000_000n

/** What a new installation charges: the sandbox, and pictures by the piece. */
const firstPrices: readonly PriceLine[] = [
  { provider: 'sandbox', model: null, unit: 'requests', costUsd: '0', priceCredits: '0.01' },
  { provider: 'weir', model: null, unit: 'images', costUsd: '0', priceCredits: '0.05' },
]

/**
 * Fills an empty installation: prices, an admin, the org `demo` with credits and a key. Every
 * step is a command with a derived id, and every secret follows from the secret key, so that a
 * start that was interrupted is finished by the next one.
 */
export async function bootstrap(profile: Profile): Promise<DevFile> {
  const { pipelines, clock, ids, secretKey, config } = profile
  await profile.prepare()
  const at = isoTime(clock.now())
  const random = derivedBytes(secretKey, 'bootstrap')
  const context = (step: string, orgId: string) => {
    const commandId = ids.derive('bootstrap', step, Buffer.from(secretKey).toString('hex'))
    return {
      commandId,
      orgId,
      actor: 'system:bootstrap',
      correlationId: commandId,
      traceparent: null,
    }
  }
  const operatorId = 'owner'
  const { token: adminToken, secretSha256: tokenSha256 } = newAdminToken(operatorId, random)
  const adminPassword = toBase62(random(15))
  const adminEmail = 'owner@weir.local'
  await pipelines.operators.handle(
    operatorsStream,
    {
      type: 'RegisterOperator',
      operator: { operatorId, email: adminEmail, role: 'owner', tokenSha256, registeredAt: at },
    },
    context('operator', 'weir'),
  )
  // The salt follows from the secret key too: the same password, the same hash, set once.
  const salt = derivedBytes(secretKey, 'bootstrap-password')(saltBytes)
  const setPassword = {
    ...{ type: 'SetOperatorPassword' as const, operatorId, at },
    passwordHash: await passwordHash(adminPassword, salt),
  }
  const passwordContext = context('password', 'weir')
  await pipelines.operators.handle(operatorsStream, setPassword, passwordContext)
  const prices = { version: 1, effectiveAt: at, prices: firstPrices, reason: 'first prices' }
  const publish = { type: 'PublishPrice' as const, ...prices }
  await pipelines.priceBook.handle(priceBookStream, publish, context('prices', 'weir'))
  const orgId = await demoOrg(profile)
  const stream = accountStream(orgId)
  const open = { type: 'OpenAccount' as const, orgId, name: 'demo', overdraft: 0n, at }
  await pipelines.accounts.handle(stream, open, context('org', orgId))
  const key = newApiKey(orgId, random)
  const { keyId, secretSha256 } = key
  const issued = { keyId, name: 'first key', scopes: allScopes, secretSha256, issuedAt: at }
  const issue = { type: 'IssueApiKey' as const, ...issued }
  await pipelines.accounts.handle(stream, issue, context('key', orgId))
  const terms = { grantId: ids.derive('bootstrap-grant', orgId), kind: 'promo' as const }
  const credits = { amount: demoCreditsMicro, reason: 'welcome', priority: 100, expiresAt: null }
  const grant = { type: 'GrantCredits' as const, ...terms, ...credits, at }
  await pipelines.accounts.handle(stream, grant, context('grant', orgId))
  return {
    baseUrl: config.publicUrl,
    apiKey: key.apiKey,
    orgId,
    webhookSecret: webhookSecretOf(orgId, secretKey),
    adminUrl: `${config.publicUrl}/admin`,
    ...{ adminEmail, adminPassword, adminToken },
  }
}

/** The id of the org `demo`: a UUIDv7 that is kept in the object store before anything uses it. */
async function demoOrg({ objects, ids }: Profile): Promise<string> {
  const key = 'bootstrap/demo-org'
  const known = await objects.head(key)
  if (known) {
    const chunks: Uint8Array[] = []
    for await (const chunk of (await objects.get(key)).body) chunks.push(chunk)
    return Buffer.concat(chunks).toString('utf8')
  }
  const orgId = ids.next()
  await objects.put(key, Buffer.from(orgId), { contentType: 'text/plain', bytesMax: 100 })
  return orgId
}
