import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const problemVariable = 'WEIR_TEST_BUILD_PROBLEM'

/** Builds weir if its sources changed. What goes wrong is kept for the tests that need weir. */
export function buildWeir(): void {
  const built = spawnSync(process.execPath, ['scripts/prepare.mjs'], {
    cwd: repository,
    encoding: 'utf8',
  })
  if (built.status !== 0) process.env[problemVariable] = `${built.stdout}${built.stderr}`
}

/** Throws what `buildWeir` met with in this run. */
export function requireBuilt(): void {
  const problem = process.env[problemVariable]
  if (problem) throw new Error(`weir could not be built:\n${problem}`)
}
