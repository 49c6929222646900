import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runFolderVariable, runPidVariable } from './run-folder.ts'
import { waitFor } from './wait-for.ts'

/** Where something that a run shares lives, and the process with which it has to end. */
export interface RunPlace {
  readonly folder: string
  readonly ownerPid: number
}

/**
 * What `start` gives, which has to survive JSON. The first test file of a run that asks starts it,
 * in a folder of that name; the others get the same, its failure too.
 *
 * @throws Error with the message of what `start` threw
 */
export async function onceInRun<T>(
  name: string,
  start: (place: RunPlace) => Promise<T>,
  limitMs: number,
): Promise<T> {
  const run = process.env[runFolderVariable]
  if (run === undefined)
    throw new Error(`There is no ${name} in test/unit; put the test elsewhere.`)
  const folder = join(run, name)
  const answer = join(run, `${name}.json`)
  if (await isFirst(folder)) {
    const place = { folder, ownerPid: Number(process.env[runPidVariable]) }
    const outcome = await start(place).then(
      (value) => ({ value }),
      (error: unknown) => ({ problem: error instanceof Error ? error.message : String(error) }),
    )
    await writeFile(`${answer}.draft`, JSON.stringify(outcome))
    await rename(`${answer}.draft`, answer)
  }
  const read = async () => await readFile(answer, 'utf8').catch(() => null)
  const text = await waitFor(`${name} of the run`, read, limitMs)
  const outcome = JSON.parse(text) as { value: T } | { problem: string }
  if ('problem' in outcome) throw new Error(outcome.problem)
  return outcome.value
}

/** Making a folder succeeds for one of those who try. */
async function isFirst(folder: string): Promise<boolean> {
  return await mkdir(folder).then(
    () => true,
    () => false,
  )
}
