import { accountStream } from '../../domain/account/account.ts'
import { secretVersionsAt } from '../../domain/account/webhook-endpoints.ts'
import type { Pipelines } from '../../domain/aggregates.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import type { Clock } from '../../domain/ports/clock.ts'
import type { WebhookSecretsOf } from '../../infra/http/webhook-transport.ts'
import { endpointSecretOf, webhookSecretOf } from '../http/credentials.ts'

export type WebhookSecretsOptions = {
  readonly pipelines: Pick<Pipelines, 'accounts'>
  readonly clock: Clock
  readonly secretKey: Uint8Array
}

/**
 * Finds the secrets that sign a delivery. An endpoint is looked up in the log at each attempt, so
 * that a rotation and a removal are in force for the very next one.
 */
export function webhookSecrets(options: WebhookSecretsOptions): WebhookSecretsOf {
  const { pipelines, clock, secretKey } = options
  return async ({ orgId, endpointId }) => {
    if (endpointId === null) return [webhookSecretOf(orgId, secretKey)]
    const { state } = await pipelines.accounts.load(accountStream(orgId))
    const endpoint = state.endpoints.all.find((each) => each.endpointId === endpointId)
    if (!endpoint) return null
    const versions = secretVersionsAt(endpoint, isoTime(clock.now()))
    return versions.map((version) => endpointSecretOf(endpointId, version, secretKey))
  }
}
