import { execFile, spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Weir } from './weir.ts'

const program = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url))
const limitMs = 60_000

/** What a command printed, and the code with which it ended; -1 when it was killed. */
export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command of the compiled `weir` on the home of a weir, whether that runs or not. */
export async function runCli(
  weir: Weir,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  return await new Promise<Ran>((resolve) => {
    const options = { env: { ...weir.toolEnvironment, ...env }, timeout: limitMs }
    execFile(process.execPath, [program, ...words], options, (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : error ? -1 : 0
      resolve({ code, stdout, stderr })
    })
  })
}

/** The same, with its output going into a file. */
export function runCliInto(file: string, words: readonly string[]): Omit<Ran, 'stdout'> {
  const output = openSync(file, 'w')
  try {
    const { status, stderr } = spawnSync(process.execPath, [program, ...words], {
      stdio: ['ignore', output, 'pipe'],
      encoding: 'utf8',
      timeout: limitMs,
    })
    return { code: status ?? -1, stderr }
  } finally {
    closeSync(output)
  }
}
