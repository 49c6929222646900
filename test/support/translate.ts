import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { transformSync } from '@swc/core'
import { root as repository } from './repository.ts'

/** Parts of the repository as plain JavaScript, in a folder from which packages are found. */
export interface Translated {
  readonly folder: string
  readonly remove: () => void
}

/**
 * Translates files and folders, in 0.1 s, below the repository's `.cache`, so that tests can run
 * them as processes of their own.
 *
 * @param sources paths in the repository; of a folder, the TypeScript files directly in it
 */
export function translate(name: string, sources: readonly string[]): Translated {
  mkdirSync(join(repository, '.cache'), { recursive: true })
  const folder = mkdtempSync(join(repository, '.cache', `${name}-`))
  for (const file of sources.flatMap(filesOf)) translateFile(file, join(folder, jsName(file)))
  return { folder, remove: () => rmSync(folder, { recursive: true }) }
}

function filesOf(source: string): string[] {
  if (source.endsWith('.ts')) return [source]
  const names = readdirSync(join(repository, source)).filter((name) => name.endsWith('.ts'))
  return names.map((name) => join(source, name))
}

function jsName(file: string): string {
  return file.replace(/\.ts$/, '.js')
}

function translateFile(file: string, target: string): void {
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
