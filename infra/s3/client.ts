import { S3Client } from '@aws-sdk/client-s3'
import { Gate } from './gate.ts'

const connectTimeoutMs = 5_000
/** From the start of a request to the head of its answer, so it has to send a part's bytes too. */
const requestTimeoutMsDefault = 60_000
/** Without a byte in either direction; a slow reader of a body makes no traffic for a while. */
const silenceMsMax = 120_000
const attemptsMax = 5
/**
 * Requests on their way at a time; the others wait here. In the queue for a socket they would be
 * taken for connections that cannot be made: of 600 at once some failed on a busy machine.
 */
const requestsAtOnceMax = 64

/** Where the bucket is and who we are there. */
export type S3Options = {
  readonly bucket: string
  readonly region: string
  /** Absent: Amazon's own of the region. */
  readonly endpoint?: string | undefined
  /** The endpoint as browsers reach it, for signed URLs; absent: the same. */
  readonly publicEndpoint?: string | undefined
  /** Absent: whatever the SDK finds: environment, profile, role of the machine or the pod. */
  readonly credentials?:
    { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined
  /** `http://host/bucket/name` instead of `http://bucket.host/name`. */
  readonly isPathStyle: boolean
  readonly requestTimeoutMs?: number
}

// The SDK tells every user on Node 20 that its versions of 2027 will not run there. This version
// does, and is pinned. It reads the switch from the environment and from nowhere else.
const warningSwitch = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'

const silent = () => undefined
const silentLogger = { trace: silent, debug: silent, info: silent, warn: silent, error: silent }

/** A client for requests; `destroy` closes its connections. */
export function openClient(options: S3Options): S3Client {
  process.env[warningSwitch] ??= 'true'
  const { region, endpoint, credentials, isPathStyle } = options
  const client = new S3Client({
    region,
    forcePathStyle: isPathStyle,
    maxAttempts: attemptsMax,
    // Checksums are ours: sha-256, computed once. The SDK would add a CRC-32 to signed URLs, too,
    // which no upload then fits.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout: options.requestTimeoutMs ?? requestTimeoutMsDefault,
      throwOnRequestTimeout: true,
      socketTimeout: silenceMsMax,
      // Bodies that are being read have sockets beyond those of the requests.
      httpAgent: { keepAlive: true, maxSockets: Infinity },
      httpsAgent: { keepAlive: true, maxSockets: Infinity },
      logger: silentLogger,
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    // The SDK writes into what it is given.
    ...(credentials === undefined ? {} : { credentials: { ...credentials } }),
  })
  const gate = new Gate(requestsAtOnceMax)
  // Innermost: who waits for another attempt keeps nobody out.
  client.middlewareStack.add((next) => (args) => gate.run(() => next(args)), {
    step: 'deserialize',
    priority: 'low',
  })
  return client
}
