import { isIP } from 'node:net'
import { judgeAddress, judgeHostName } from './forbidden-address.ts'

const urlCharactersMax = 2_048

/** What can be said of a URL without asking the DNS. */
export type UrlCheck =
  | { readonly ok: true }
  | {
      readonly ok: false
      /** A whole sentence for the person who named the URL. */
      readonly reason: string
      /** Whether the URL could be called with `WEIR_ALLOW_PRIVATE_WEBHOOKS=true`. */
      readonly wouldHelp: boolean
    }

/** `allowPrivate` permits http, and loopback and private addresses: for a developer's machine. */
export type OutboundRules = { readonly allowPrivate: boolean }

/**
 * Decides whether weir may ever call a URL that a customer names. A yes is not the last word: the
 * guarded client also checks every address that the name resolves to, at each call.
 */
export function checkOutboundUrl(text: string, rules: OutboundRules): UrlCheck {
  const reason = refusal(text, rules)
  if (reason === null) return { ok: true }
  const wouldHelp = !rules.allowPrivate && refusal(text, { allowPrivate: true }) === null
  return { ok: false, reason, wouldHelp }
}

/** The host of a URL, without the brackets of an IPv6 literal and without a last dot. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}

function refusal(text: string, { allowPrivate }: OutboundRules): string | null {
  if (text.length > urlCharactersMax)
    return `The URL is longer than ${urlCharactersMax} characters.`
  if (!URL.canParse(text)) return 'This is not an absolute URL.'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'The URL must use https.'
  if (url.protocol === 'http:' && !allowPrivate) return 'The URL must use https.'
  if (url.username !== '' || url.password !== '') {
    return 'The URL must not contain a user name or a password.'
  }
  if (url.port === '0') return 'The URL must not use port 0.'
  const host = hostOf(url)
  const { reach, rule } = isIP(host) === 0 ? judgeHostName(host) : judgeAddress(host)
  if (reach === 'public' || (reach === 'private' && allowPrivate)) return null
  return `${host} must not be called from here (${rule}).`
}
