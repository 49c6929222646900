const exposedHeaders = [
  'location',
  'idempotent-replayed',
  'preference-applied',
  'x-request-id',
  'retry-after',
  'ratelimit',
  'ratelimit-policy',
]

/** Of all routes. Those that are not named, browsers do not send: they would but read and post. */
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']

/** What pages of these origins may do. */
export function corsOptions(origins: readonly string[]) {
  return { origin: [...origins], methods: [...methods], exposedHeaders: [...exposedHeaders] }
}
