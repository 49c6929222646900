import { closeSync, fdatasync, ftruncateSync, openSync, readFileSync, write } from 'node:fs'
import { promisify } from 'node:util'
import type { StandInRecord } from './record.ts'

const writeTo = promisify(write)
const sync = promisify(fdatasync)

type Line = Omit<StandInRecord, 'data' | 'meta'> & { readonly data: string; readonly meta: string }

/**
 * The log in a file, a line per record, so that a stand-in that was killed finds again what it had
 * answered. Records that come while one sync is under way share the next one.
 */
export class Journal {
  readonly #file: number
  readonly #path: string
  #waiting = ''
  #syncing: Promise<void> | null = null
  #following: Promise<void> | null = null

  constructor(path: string) {
    this.#path = path
    this.#file = openSync(path, 'a+', 0o600)
  }

  /** Every whole line; what a kill tore off is cut away. */
  load(): StandInRecord[] {
    const text = readFileSync(this.#path, 'utf8')
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    if (whole.length < text.length) ftruncateSync(this.#file, Buffer.byteLength(whole))
    return whole
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const { data, meta, ...rest } = JSON.parse(line) as Line
        return { ...rest, data: Buffer.from(data, 'base64'), meta: Buffer.from(meta, 'base64') }
      })
  }

  add(records: readonly StandInRecord[]): void {
    for (const { data, meta, ...rest } of records) {
      const bytes = { data: data.toString('base64'), meta: meta.toString('base64') }
      this.#waiting += `${JSON.stringify({ ...rest, ...bytes })}\n`
    }
  }

  /** Resolves when everything that was added until now is on disk. */
  synced(): Promise<void> {
    if (this.#following) return this.#following
    if (!this.#syncing) return this.#start()
    this.#following = this.#syncing.then(() => this.#start())
    return this.#following
  }

  async close(): Promise<void> {
    await this.synced()
    closeSync(this.#file)
  }

  #start(): Promise<void> {
    this.#following = null
    this.#syncing = this.#write().finally(() => {
      if (!this.#following) this.#syncing = null
    })
    return this.#syncing
  }

  async #write(): Promise<void> {
    const text = this.#waiting
    this.#waiting = ''
    if (text === '') return
    await writeTo(this.#file, text)
    await sync(this.#file)
  }
}
