/**
 * Whether a client has what bears this tag, as `If-None-Match` tells (RFC 9110 §13.1.2): a list, in
 * which proxies that packed an answer have marked its tag as weak.
 */
export function isKnown(header: string | undefined, etag: string): boolean {
  const tags = (header ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes(etag) || tags[0] === '*'
}
