import { lookup, Resolver } from 'node:dns/promises'

/** Gives every address of a name. Rejects when there is none, and soon after the signal aborts. */
export type Resolve = (hostName: string, signal: AbortSignal) => Promise<readonly string[]>

const queryTimeoutMs = 2_000
const queryTries = 3

/**
 * Asks the DNS servers directly, over sockets. `getaddrinfo`, which `lookup` uses, occupies one of
 * the four threads that the whole process shares for files, cryptography and names: a customer
 * with a slow name server could stop everybody's deliveries. It also reads /etc/hosts and search
 * domains, which hold nothing that a customer may call.
 */
export const resolvePublic: Resolve = async (hostName, signal) => {
  const resolver = new Resolver({ timeout: queryTimeoutMs, tries: queryTries })
  const cancel = () => {
    resolver.cancel()
  }
  signal.addEventListener('abort', cancel, { once: true })
  try {
    const answers = await Promise.allSettled([
      resolver.resolve4(hostName),
      resolver.resolve6(hostName),
    ])
    const addresses = answers.flatMap((answer) =>
      answer.status === 'fulfilled' ? answer.value : [],
    )
    const failure = answers.find((answer) => answer.status === 'rejected')
    if (addresses.length === 0 && failure !== undefined) throw failure.reason
    return addresses
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

/** Asks as the rest of the machine does: a developer's names stand in /etc/hosts or in Docker. */
export const resolveAsSystem: Resolve = async (hostName) => {
  const answers = await lookup(hostName, { all: true, verbatim: true })
  return answers.map((answer) => answer.address)
}
