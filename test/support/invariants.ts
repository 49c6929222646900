import { expect } from '@jest/globals'
import { runCli } from './cli.ts'
import { waitFor } from './wait-for.ts'
import type { Weir } from './weir.ts'

const quietLimitMs = 20_000

/**
 * Expects that every invariant holds: the whole log, every result, and every row of the read models
 * against both. It asks the program's own `weir doctor --verify`, so that what tests check is what
 * an operator can check. Call it when nothing runs any more.
 */
export async function expectInvariants(weir: Weir): Promise<void> {
  let told = ''
  const isWell = async (): Promise<boolean> => {
    const { code, stdout, stderr } = await runCli(weir, ['doctor', '--verify'])
    told = stdout + stderr
    return code === 0
  }
  // Read models follow the log: what was just written may not be in them yet.
  await waitFor('every invariant to hold', isWell, quietLimitMs).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${told}`)
  })
  expect(told).toContain('every invariant holds')
}
