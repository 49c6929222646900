import type { Pipelines } from '../../domain/aggregates.ts'
import type { Clock } from '../../domain/ports/clock.ts'
import { GuardedClient } from '../../infra/http/guarded-client.ts'
import { GuardedRequestError } from '../../infra/http/guarded-request-error.ts'
import { HttpWebhookTransport } from '../../infra/http/webhook-transport.ts'
import { JobError } from '../../workers/job-error.ts'
import type { Download } from '../../workers/open-input.ts'
import type { Config } from '../config.ts'
import type { Profile } from './profile.ts'
import { webhookSecrets } from './webhook-secrets.ts'

/** Largest picture or file that a job fetches from a URL, bytes. */
const downloadBytesMax = 20_000_000

export type OutboundPorts = {
  readonly pipelines: Pipelines
  readonly clock: Clock
  readonly secretKey: Uint8Array
}

/** Everything that goes to addresses which customers name: one guarded client in every profile. */
export function outbound(
  config: Config,
  ports: OutboundPorts,
): Pick<Profile, 'transport' | 'checkUrl' | 'download'> {
  const client = new GuardedClient({ allowPrivate: config.arePrivateWebhooksAllowed })
  return {
    transport: new HttpWebhookTransport(client, webhookSecrets(ports)),
    checkUrl: (url) => client.check(url),
    download: downloadWith(client),
  }
}

function downloadWith(client: GuardedClient): Download {
  return async (url, signal) => {
    try {
      const bytesMax = downloadBytesMax
      const { contentType, body } = await client.download({ url, bytesMax, signal })
      const type = contentType ?? 'application/octet-stream'
      return { contentType: type, bytes: body.length, body: only(body) }
    } catch (error) {
      if (!(error instanceof GuardedRequestError)) throw error
      const retryable = error.code !== 'forbidden_address' && error.code !== 'too_large'
      throw new JobError({ code: 'input_unreachable', message: error.message, retryable })
    }
  }
}

async function* only(bytes: Uint8Array) {
  yield bytes
}
