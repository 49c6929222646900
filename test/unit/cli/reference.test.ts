import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { auditCommands } from '../../../src/cli/audit.ts'
import { doctorCommands } from '../../../src/cli/doctor.ts'
import { jobCommands } from '../../../src/cli/job.ts'
import { moveCommands } from '../../../src/cli/move.ts'
import { orgCommands } from '../../../src/cli/org.ts'
import { systemCommands } from '../../../src/cli/system.ts'
import { root } from '../../support/repository.ts'

const page = readFileSync(join(root, 'docs/reference/cli.md'), 'utf8')
const commands = [
  ...[...systemCommands, ...doctorCommands, ...jobCommands],
  ...[...orgCommands, ...auditCommands, ...moveCommands],
]

test.each(commands)('the reference of the command line has $name with its options', (command) => {
  const { name, options = {} } = command
  const row = page.split('\n').find((line) => new RegExp(`\`${name}[ \`]`).test(line)) ?? ''
  const missing = Object.keys(options).filter((option) => !row.includes(`--${option}`))
  expect({ row: row !== '', missing }).toEqual({ row: true, missing: [] })
})
