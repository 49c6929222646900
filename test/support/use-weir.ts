import { afterAll, beforeAll, expect } from '@jest/globals'
import { Client, newOrg, type Org, type OrgOptions } from './client.ts'
import { startWeir, type Weir, type WeirOptions } from './weir.ts'

const limitMs = 60_000

/** The weir of a test file, and callers of it. */
export interface WeirInUse {
  /** Set from beforeAll on. */
  readonly weir: Weir
  /** With the owner's token. */
  readonly admin: Client
  /** Without a token. */
  readonly nobody: Client
  newOrg(options?: OrgOptions): Promise<Org>
}

/**
 * One weir for the whole test file: started before its first test, stopped after its last one. Call
 * it at the top of the file. Whatever the tests do, an error in weir's log fails the file.
 */
export function useWeir(options: WeirOptions = {}): WeirInUse {
  let started: Weir | undefined

  beforeAll(async () => {
    started = await startWeir(options)
  }, limitMs)

  afterAll(async () => {
    if (started === undefined) return
    const { faults } = started
    await started.stop()
    expect(faults).toEqual([])
  }, limitMs)

  const weir = (): Weir => {
    if (started === undefined) throw new Error('weir runs from beforeAll on.')
    return started
  }
  const admin = (): Client => new Client(weir().baseUrl, weir().dev.adminToken)
  return {
    get weir() {
      return weir()
    },
    get admin() {
      return admin()
    },
    get nobody() {
      return new Client(weir().baseUrl)
    },
    newOrg: async (orgOptions) => await newOrg(admin(), orgOptions),
  }
}
