import { afterAll, beforeAll, expect } from '@jest/globals'
import { Client, newOrg, type Org, type OrgOptions } from './client.ts'
import { sharedWeir } from './shared-weir.ts'
import { startWeir, type Weir, type WeirOptions } from './weir.ts'

const limitMs = 60_000
const sharedLimitMs = 660_000

/** With any of the others it is the file's own too. */
export interface UseWeirOptions extends WeirOptions {
  /** For a file that looks at what all orgs together do, or that asks very much of weir. */
  readonly isOwn?: boolean
}

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
 * A weir for the test file, to be called at its top: one that files share and in which each makes
 * orgs of its own; with options, one that starts before the file's first test and stops after its
 * last one. Whatever the tests do, an error in weir's log fails the file.
 */
export function useWeir({ isOwn = false, ...options }: UseWeirOptions = {}): WeirInUse {
  const isShared = !isOwn && Object.keys(options).length === 0
  let started: Weir | undefined
  let logged = 0

  beforeAll(
    async () => {
      started = isShared ? await sharedWeir() : await startWeir(options)
      if (isShared) logged = started.log.length
    },
    isShared ? sharedLimitMs : limitMs,
  )

  afterAll(async () => {
    if (started === undefined) return
    const faults = started.faultsSince(logged)
    if (!isShared) await started.stop()
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
