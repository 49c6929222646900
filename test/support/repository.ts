import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folder of the lock file: as a part of a compiled benchmark, this file lies deeper. */
export const root = folderWith('package-lock.json', import.meta.dirname)

function folderWith(file: string, below: string): string {
  if (existsSync(join(below, file))) return below
  const above = dirname(below)
  if (above === below) throw new Error(`there is no ${file} above ${import.meta.dirname}`)
  return folderWith(file, above)
}

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
}

const binary = /\.(jpe?g|png|gif|webp|ico|woff2?|pdf|zip|gz|cpuprofile)$/

/** What git tracks or would track: ignored files are nobody's concern. */
export function repositoryFiles(): readonly SourceFile[] {
  return git('ls-files', '--cached', '--others', '--exclude-standard')
    .filter((path) => existsSync(join(root, path)) && statSync(join(root, path)).isFile())
    .filter((path) => !binary.test(path))
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8')
      return { path, text, lines: text.split('\n') }
    })
}

/** The lines that a git command prints. */
export function git(...command: readonly string[]): string[] {
  // The tests may run as another user than the one who cloned.
  const flags = ['-c', 'safe.directory=*', '-c', 'core.quotepath=off']
  const output = execFileSync('git', [...flags, ...command], { cwd: root, encoding: 'utf8' })
  return output.split('\n').filter((line) => line !== '')
}

export function isThere(path: string): boolean {
  return existsSync(join(root, path))
}
