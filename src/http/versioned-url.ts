import type { IncomingHttpHeaders } from 'node:http'

const roots = [
  ...['jobs', 'job-types', 'balance', 'usage', 'limits', 'ledger', 'tokens', 'uploads'],
  ...['webhook-[a-z]+', 'openapi\\.json', 'docs'],
]
const adminRoots = ['orgs', 'holds', 'prices', 'jobs', 'audit', 'session']
const unversioned = new RegExp(`^/(${roots.join('|')})(?=[/?]|$)`)
const unversionedAdmin = new RegExp(`^/(admin/(?:${adminRoots.join('|')}))(?=[/?]|$)`)

/** What a request to a proxy begins with. */
const origin = /^https?:\/\/[^/?#]*/i

/**
 * A path without a version means the current one: `POST /jobs` is `POST /v1/jobs`. What a browser
 * opens below `/admin` is a page.
 */
export function versionedUrl(url: string, { accept = '' }: IncomingHttpHeaders): string {
  const path = url.replace(origin, '')
  if (unversionedAdmin.test(path) && accept.includes('text/html')) return path
  return path.replace(unversioned, '/v1/$1').replace(unversionedAdmin, '/v1/$1')
}
