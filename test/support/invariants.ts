import { expect } from '@jest/globals'
import { runCli } from './cli.ts'
import { waitFor } from './wait-for.ts'
import { isClusterTested, type Weir } from './weir.ts'

const quietLimitMs = 20_000
/** What the doctor says of them when it has looked. On a cluster several processes count. */
const comparedWithLog = isClusterTested ? ['I9'] : ['I9', 'I15']

/**
 * Expects that every invariant holds: the whole log, every result, and every row of the read models
 * against both. It asks the program's own `weir doctor --verify`, so that what tests check is what
 * an operator can check. Call it on a weir that runs and has no job left to run.
 */
export async function expectInvariants(weir: Weir): Promise<void> {
  let told = ''
  const isWell = async (): Promise<boolean> => {
    const { code, stdout, stderr } = await runCli(weir, ['doctor', '--verify'])
    told = stdout + stderr
    return code === 0 && comparedWithLog.every((each) => told.includes(`ok    ${each} `))
  }
  // Read models follow the log: what was just written may not be in them yet.
  await waitFor('every invariant to hold', isWell, quietLimitMs).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${told}`)
  })
  expect(told).toContain('every invariant holds')
}
