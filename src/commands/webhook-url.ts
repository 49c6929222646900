import { invalid } from '../../domain/errors.ts'
import type { Runtime } from '../runtime.ts'

/**
 * Refuses a URL that may never be called, in a sentence for whoever named it.
 *
 * @param pointer where the URL stands in the request
 * @throws DomainError `invalid_input`
 */
export function requireCallable(
  { checkUrl }: Pick<Runtime, 'checkUrl'>,
  url: string,
  pointer: string,
): void {
  const verdict = checkUrl(url)
  if (verdict.ok) return
  const help = verdict.wouldHelp
    ? ' For development, start weir with WEIR_ALLOW_PRIVATE_WEBHOOKS=true.'
    : ''
  throw invalid('invalid_input', [{ pointer, detail: verdict.reason + help }])
}
