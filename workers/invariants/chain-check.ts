import type { RecordedEvent } from '../../domain/envelope.ts'
import type { ChainHead } from '../audit/ledger-heads.ts'
import { AccountChains } from '../audit/log-file.ts'
import type { Found } from './violation.ts'

/** Where somebody says that the hash chain of an account stands. */
export type ChainClaim = ChainHead & {
  /** Who says so, for the person who reads of a contradiction. */
  readonly by: string
}

/** I13: computes the chain of each account anew and holds it against what others say of it. */
export class ChainCheck {
  readonly #found: Found
  readonly #chains = new AccountChains()
  readonly #claims = new Map<string, ChainClaim[]>()

  constructor(found: Found, claims: readonly ChainClaim[]) {
    this.#found = found
    for (const claim of claims) {
      const ofStream = this.#claims.get(claim.stream) ?? []
      this.#claims.set(claim.stream, [...ofStream, claim])
    }
  }

  see(event: RecordedEvent): void {
    const hash = this.#chains.add(event)
    const { stream, revision } = event
    for (const claim of this.#claims.get(stream) ?? []) {
      if (claim.revision !== revision || claim.hash === hash) continue
      const told = `its chain has another hash than ${claim.by} says`
      this.#found('I13', `${stream}@${revision}`, told)
    }
  }

  /** After the last event: what was claimed of events that are not there. */
  end(): void {
    const ends = new Map(this.#chains.heads().map(({ stream, revision }) => [stream, revision]))
    for (const [stream, claims] of this.#claims) {
      const last = ends.get(stream) ?? -1
      for (const { revision, by } of claims) {
        if (revision <= last) continue
        this.#found('I13', stream, `it ends at revision ${last}, ${by} knows ${revision}`)
      }
    }
  }
}
