import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { exportFile } from '../../../src/cli/export-file.ts'

const before = { ...process.env }
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-export-'))
  process.env = { WEIR_HOME: join(folder, 'nowhere') }
})

afterEach(() => {
  process.env = { ...before }
  rmSync(folder, { recursive: true })
})

const exportTo = (file: string) => exportFile({ positionals: [file], options: {} })

test('an export that fails leaves no file in the way of the next one', async () => {
  const file = join(folder, 'log')
  await expect(exportTo(file)).rejects.toThrow('There is no database')
  expect(existsSync(file)).toBe(false)
})

test('a file that is there is neither written nor removed', async () => {
  const file = join(folder, 'log')
  writeFileSync(file, 'mine')
  await expect(exportTo(file)).rejects.toThrow('cannot be made')
  expect(existsSync(file)).toBe(true)
})
