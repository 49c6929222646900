import { relative } from 'node:path'
import TestSequencer from '@jest/test-sequencer'

// Folders of test/ in the order in which they run: `simulation` has the longest file, and what
// begins first leaves no core idle in the end; what looks at weir from outside comes last, for the
// weirs that test files share run from the first one that asks until the end. Jest does not
// translate this file.
const stages = [
  ['simulation'],
  ['faults', 'hostile', 'bench'],
  ['integration', 'contracts', 'unit', 'tidy.test.ts'],
  ['e2e'],
]

function stageOf({ path, context: { config } }) {
  if (config.displayName?.name === 'cluster') return stages.length
  const [folder] = relative(`${config.rootDir}/test`, path).split('/')
  const stage = stages.findIndex((folders) => folders.includes(folder))
  if (stage === -1)
    throw new Error(`When do tests in test/${folder} run? Say it in ${import.meta.url}.`)
  return stage
}

/** In a stage Jest decides: files that failed, then those that took long or are large. */
export default class Sequencer extends TestSequencer {
  sort(tests) {
    return super.sort(tests).sort((one, other) => stageOf(one) - stageOf(other))
  }
}
