import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transformSync } from '@swc/core'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const sources = [
  'src/config.ts',
  'src/supervisor',
  'infra/embedded-postgres',
  'test/support/supervised-program.ts',
  'test/support/supervised-role.ts',
]

/** The launcher as plain JavaScript, so that tests can run it as a process of its own. */
export interface BuiltSupervisor {
  /** Runs `supervise` over embedded Postgres with the fixture role. */
  readonly program: string
  remove(): void
}

/** Translates what the launcher consists of, in 0.1 s, below the repository's `.cache`. */
export function buildSupervisor(): BuiltSupervisor {
  mkdirSync(join(repository, '.cache'), { recursive: true })
  const folder = mkdtempSync(join(repository, '.cache', 'supervisor-'))
  for (const file of sources.flatMap(filesOf)) translate(file, join(folder, jsName(file)))
  return {
    program: join(folder, 'test/support/supervised-program.js'),
    remove: () => rmSync(folder, { recursive: true }),
  }
}

function filesOf(source: string): string[] {
  if (source.endsWith('.ts')) return [source]
  const names = readdirSync(join(repository, source)).filter((name) => name.endsWith('.ts'))
  return names.map((name) => join(source, name))
}

function jsName(file: string): string {
  return file.replace(/\.ts$/, '.js')
}

function translate(file: string, target: string): void {
  const source = readFileSync(join(repository, file), 'utf8')
  const { code } = transformSync(source, {
    swcrc: false,
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'es6' },
  })
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(
    target,
    code
      .replaceAll(/(from |import\()'(\.[^']+)\.ts'/g, "$1'$2.js'")
      .replaceAll(/(from |import\()"(\.[^"]+)\.ts"/g, '$1"$2.js"'),
  )
}
