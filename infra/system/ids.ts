import { randomFillSync } from 'node:crypto'
import { v5, v7 } from 'uuid'
import { Ids } from '../../domain/ports/ids.ts'

/** The namespace of ids that weir derives. Changing it would change what a retry means. */
const namespace = '5f0c1f6e-6a3c-5d0b-9a0e-8f6d3b6c2a41'

/** Random bytes are fetched in bulk: a call to the system for each id costs more than the id. */
const poolBytes = 8_192

/** Ids and randomness of the machine. */
export class SystemIds extends Ids {
  readonly #pool = new Uint8Array(poolBytes)
  #unused = 0

  override next(): string {
    return v7()
  }

  override derive(...cause: readonly string[]): string {
    return deriveId(cause)
  }

  override bytes(count: number): Uint8Array {
    if (count > poolBytes) return randomFillSync(new Uint8Array(count))
    if (this.#unused < count) {
      randomFillSync(this.#pool)
      this.#unused = poolBytes
    }
    this.#unused -= count
    return this.#pool.slice(this.#unused, this.#unused + count)
  }

  override random01(): number {
    return Math.random()
  }
}

/** The same id for the same cause, in every process and every release. */
export function deriveId(cause: readonly string[]): string {
  // JSON, because no two lists of texts look alike in it, whatever the texts hold.
  return v5(JSON.stringify(cause), namespace)
}
