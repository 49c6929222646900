import { hash, randomFillSync } from 'node:crypto'
import { parse, stringify, v7 } from 'uuid'
import { Ids } from '../../domain/ports/ids.ts'

/** The namespace of ids that weir derives. Changing it would change what a retry means. */
const namespace = parse('5f0c1f6e-6a3c-5d0b-9a0e-8f6d3b6c2a41')

/** Random bytes are fetched in bulk: a call to the system for each id costs more than the id. */
const poolBytes = 8_192
const idBytes = 16
/** Where an id says which version and which variant of RFC 9562 it is. */
const versionByte = 6
const variantByte = 8

/** Ids and randomness of the machine. */
export class SystemIds extends Ids {
  readonly #pool = new Uint8Array(poolBytes)
  #unused = 0
  #lastMs = 0
  #sequence = 0

  override next(): string {
    const random = this.#take(idBytes)
    this.#countOn(random)
    return v7({ random, msecs: this.#lastMs, seq: this.#sequence })
  }

  override derive(...cause: readonly string[]): string {
    return deriveId(cause)
  }

  override bytes(count: number): Uint8Array {
    if (count > poolBytes) return randomFillSync(new Uint8Array(count))
    return this.#take(count).slice()
  }

  override random01(): number {
    return Math.random()
  }

  /** Bytes of the pool, which nobody else gets; the pool is filled anew under them one day. */
  #take(count: number): Uint8Array {
    if (this.#unused < count) {
      randomFillSync(this.#pool)
      this.#unused = poolBytes
    }
    this.#unused -= count
    return this.#pool.subarray(this.#unused, this.#unused + count)
  }

  /** The counter of RFC 9562, 6.2 method 1: random in a new millisecond, else one more. */
  #countOn(random: Uint8Array): void {
    const now = Date.now()
    if (now > this.#lastMs) {
      this.#lastMs = now
      this.#sequence = new DataView(random.buffer, random.byteOffset).getUint32(0) >>> 1
      return
    }
    this.#sequence = (this.#sequence + 1) | 0
    if (this.#sequence === 0) this.#lastMs += 1
  }
}

/** The same id for the same cause, in every process and every release. */
export function deriveId(cause: readonly string[]): string {
  // JSON, because no two lists of texts look alike in it, whatever the texts hold.
  const name = Buffer.from(JSON.stringify(cause))
  // As `v5` of uuid, with the hash made in one call: 3 µs instead of 8.
  const bytes = hash('sha1', Buffer.concat([namespace, name]), 'buffer').subarray(0, idBytes)
  bytes.writeUInt8((bytes.readUInt8(versionByte) & 0x0f) | 0x50, versionByte)
  bytes.writeUInt8((bytes.readUInt8(variantByte) & 0x3f) | 0x80, variantByte)
  return stringify(bytes)
}
