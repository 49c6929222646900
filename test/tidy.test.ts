import { dirname, posix } from 'node:path'
import { expect, test } from '@jest/globals'
import { catalog } from '../domain/catalog.ts'
import { errorTable } from '../domain/errors.ts'
import { git, isThere, repositoryFiles, type SourceFile } from './support/repository.ts'

// The repository tests itself. ESLint and dependency-cruiser hold what a parser of one file or of
// its imports can see, functions of more than 60 lines among it; the rest is here. A rule whose
// subject does not exist yet has nothing to refuse, and holds from the day it appears.

const files = repositoryFiles()
const production = /^(domain|projections|workers|infra|src|client)\//
const code = files.filter(({ path }) => /\.(ts|mjs|cjs|js)$/.test(path))

/** `path:line: text` of every line that matches; comment lines are prose and do not count. */
function occurrences(among: readonly SourceFile[], pattern: RegExp): string[] {
  return among.flatMap(({ path, lines }) =>
    lines.flatMap((line, at) =>
      pattern.test(line) && !isComment(line) ? [`${path}:${at + 1}: ${line.trim()}`] : [],
    ),
  )
}

function isComment(line: string): boolean {
  return /^\s*(\/\/|\/?\*)/.test(line)
}

// ── Limits ──────────────────────────────────────────────────────────────────────────────────────

const linesMax = 400
const testLinesMax = 800
const columnsMax = 100

/** Files that may be longer or wider, each with its reason. Keep this list short. */
const limitExceptions: Readonly<Record<string, string>> = {
  LICENSE: 'a text that is not ours',
  'package.json': 'npm scripts are one line each',
  'package-lock.json': 'written by npm',
  'bench/peers/bullmq/package-lock.json': 'written by npm',
  'test/fixtures/compose-spec.json': 'a schema that is not ours',
  'infra/ops/grafana/dashboards/weir.json': 'its queries are one line each',
}
const isGenerated = (path: string): boolean =>
  /^(docs\/(events|reference\/openapi|schema)|bench\/results\/)/.test(path)
const measured = files.filter(
  ({ path }) => !(path in limitExceptions) && !isGenerated(path) && !path.endsWith('.svg'),
)

test('no file is longer than 400 lines, no test than 800', () => {
  const tooLong = measured
    .filter(({ path }) => !path.endsWith('.md'))
    .map(({ path, lines }) => ({ path, count: lines.length - 1 }))
    .filter(({ path, count }) => count > (path.startsWith('test/') ? testLinesMax : linesMax))
  expect(tooLong).toEqual([])
})

test('no line is longer than 100 columns', () => {
  const prose = /\.(md|html)$/
  const tooWide = measured
    .filter(({ path }) => !prose.test(path) && !path.includes('LICENSE'))
    .flatMap(({ path, lines }) =>
      lines.flatMap((line, at) => (columns(line) > columnsMax ? [`${path}:${at + 1}`] : [])),
    )
  expect(tooWide).toEqual([])
})

// An address cannot be broken.
function columns(line: string): number {
  return line.replaceAll(/https?:\/\/\S+/g, '').length
}

test('every exception from a limit is still needed', () => {
  expect(Object.keys(limitExceptions).filter((path) => !isThere(path))).toEqual([])
})

test('a README of a code folder has at most 20 lines', () => {
  const readmes = files.filter(({ path }) =>
    /^(domain|projections|workers|infra|src|client|test|bench|examples)\/README\.md$/.test(path),
  )
  expect(readmes.filter(({ lines }) => lines.length > 21).map(({ path }) => path)).toEqual([])
})

// ── Banned text ─────────────────────────────────────────────────────────────────────────────────

interface Ban {
  readonly pattern: RegExp
  readonly instead: string
  readonly within: RegExp
  readonly except?: RegExp
}

const pure = /^(domain|projections|workers)\//
const behindPorts = /^(domain|projections|workers|src\/(commands|queries|http|realtime))\//
const tests = /^test\//
/** Starts processes and hands its environment on to them, or sets what a library reads there. */
const processEdge =
  /^(src\/((main|cli|config)\.ts|(cli|supervisor)\/)|infra\/(embedded-postgres\/|s3\/client\.ts))/

const bans: readonly Ban[] = [
  { pattern: /new Date\(\)|Date\.now\(/, instead: 'command.at or Clock', within: behindPorts },
  { pattern: /\bMath\.random\(|\brandomUUID\(/, instead: 'Ids', within: behindPorts },
  { pattern: /\bset(Timeout|Interval)\(/, instead: 'Clock.sleep', within: pure },
  {
    pattern: /(?<!\.)\bsetTimeout\(|timers\/promises/,
    instead: 'waitFor or a signal',
    within: tests,
    except: /^test\/(support|faults)\//,
  },
  { pattern: /process\.env/, instead: 'src/config.ts', within: production, except: processEdge },
  {
    pattern: /\bconsole\./,
    instead: 'the logger',
    within: production,
    except: /^src\/(main|cli|demo)\.ts|^src\/(cli|start|supervisor|demo)\//,
  },
  { pattern: /export \*/, instead: 'import from the file that defines it', within: /\.ts$/ },
  { pattern: /constructor\.name/, instead: 'a name that is written down', within: /\.ts$/ },
  {
    pattern: /jest\.(mock|unstable_mockModule|spyOn)\(/,
    instead: 'a memory adapter or the real engine',
    within: tests,
  },
  { pattern: /\b(test|it|describe)\.(only|todo)\b/, instead: 'the whole suite', within: tests },
  { pattern: /@ts-(ignore|nocheck)/, instead: '@ts-expect-error with the reason', within: /\.ts$/ },
]

test.each(bans.map((ban) => ({ ...ban, name: ban.pattern.source })))(
  'banned: $name, instead $instead',
  ({ pattern, within, except }) => {
    const searched = code.filter(
      ({ path }) => within.test(path) && !except?.test(path) && path !== 'test/tidy.test.ts',
    )
    expect(occurrences(searched, pattern)).toEqual([])
  },
)

test('a silenced lint rule says why, behind it or on the line before', () => {
  const silenced = code
    .filter(({ path }) => path !== 'test/tidy.test.ts')
    .flatMap(({ path, lines }) =>
      lines.flatMap((line, at) => {
        const hasReason = / -- \S/.test(line) || /^\s*(\/\/|\*) \S/.test(lines[at - 1] ?? '')
        return line.includes('eslint-disable') && !hasReason ? [`${path}:${at + 1}`] : []
      }),
    )
  expect(silenced).toEqual([])
})

test('what is exported is used, by more than tests', () => {
  const declared = /^export (?:abstract |async )*(?:function\*?|class|const|type|interface) (\w+)/gm
  const uses = new Map<string, number>()
  for (const { path, text } of code) {
    if (/^(test|bench)\//.test(path)) continue
    for (const word of text.match(/\w+/g) ?? []) uses.set(word, (uses.get(word) ?? 0) + 1)
  }
  const unused = code
    .filter(({ path }) => production.test(path) && path.endsWith('.ts'))
    // What the SDK exports is used by its users; memory and simulated adapters are for tests.
    .filter(({ path }) => !/^(client|infra\/(memory|simulated))\//.test(path))
    .flatMap(({ path, text }) =>
      [...text.matchAll(declared)]
        .map((match) => match[1] ?? '')
        .filter((name) => (uses.get(name) ?? 0) < 2)
        .map((name) => `${path}: ${name}`),
    )
  expect(unused).toEqual([])
})

test('nothing is left to do, and no code is commented out', () => {
  const leftover = new RegExp('\\b(TO' + 'DO|FIX' + 'ME|XX' + 'X)\\b')
  const asleep = /^\s*\/\/\s*(import|export|const|let|return|await|if \(|for \(|\}).*[;{})]?$/
  const isSentence = /[.,:]$|^\s*\/\/ \w+ [a-z]+ [a-z]+ /
  const found = code.flatMap(({ path, lines }) =>
    lines.flatMap((line, at) =>
      leftover.test(line) || (asleep.test(line) && !isSentence.test(line))
        ? [`${path}:${at + 1}: ${line.trim()}`]
        : [],
    ),
  )
  expect(found).toEqual([])
})

// ── Tests ───────────────────────────────────────────────────────────────────────────────────────

test('no two tests of a file have the same title', () => {
  const titled = /^\s*(?:test|it)(?:\.\w+)*\(\s*(['"`])(.+?)\1/gm
  const repeated = files
    .filter(({ path }) => /^test\/.*\.ts$/.test(path))
    .flatMap(({ path, text }) => {
      const titles = [...text.matchAll(titled)].map((match) => match[2] ?? '')
      return duplicates(titles).map((title) => `${path}: ${title}`)
    })
  expect(repeated).toEqual([])
})

function duplicates(values: readonly string[]): string[] {
  return [...new Set(values.filter((value, at) => values.indexOf(value) !== at))]
}

const kebab = (name: string): string => name.replaceAll(/(?<=[a-z0-9])[A-Z]/g, '-$&').toLowerCase()

const portFiles = new Map(
  files
    .filter(({ path }) => path.startsWith('domain/ports/'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/^export abstract class (\w+)/gm)].map((match) => [match[1] ?? '', path]),
    ),
)

test('every adapter is named after its port and calls the contract suite of that port', () => {
  const suites = files.filter(({ path }) => /^test\/contracts\/.*\.test\.ts$/.test(path))
  const adapters = files
    .filter(({ path }) => /^infra\/.*\.ts$/.test(path))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/^(?:export )?class \w+ extends (\w+)/gm)]
        .map((match) => ({ path, port: match[1] ?? '' }))
        .filter(({ port }) => portFiles.has(port)),
    )
  const problems = adapters.flatMap(({ path, port }) => {
    const names = [kebab(port), posix.basename(portFiles.get(port) ?? '', '.ts')]
    const isNamed = names.includes(posix.basename(path, '.ts'))
    const contract = new RegExp(`from '\\./(${names.join('|')})\\.contract\\.ts'`)
    const isCalled = suites.some(
      ({ text }) => text.includes(`from '../../${path}'`) && contract.test(text),
    )
    return [
      ...(isNamed ? [] : [`${path} holds an adapter of ${port}; call it ${kebab(port)}.ts`]),
      ...(isCalled ? [] : [`${path} is not run against test/contracts/${kebab(port)}.contract.ts`]),
    ]
  })
  expect(problems).toEqual([])
})

test('every port has an adapter', () => {
  const adapters = files.filter(({ path }) => path.startsWith('infra/'))
  const idle = [...portFiles.keys()].filter(
    (port) => !adapters.some(({ text }) => new RegExp(`extends ${port}\\b`).test(text)),
  )
  expect(idle).toEqual([])
})

// ── What is documented is what is there ─────────────────────────────────────────────────────────

test('docs/errors.md names every error code, and no other', () => {
  const page = files.find(({ path }) => path === 'docs/errors.md')?.text ?? ''
  const documented = [...page.matchAll(/^\| \d{3} \| `(\w+)`/gm)].map((match) => match[1])
  expect(documented.sort()).toEqual(Object.keys(errorTable).sort())
})

test('docs/events holds a schema for every event, and no other', () => {
  const documented = files.flatMap(
    ({ path }) => /^docs\/events\/(\w+)\.schema\.json$/.exec(path)?.[1] ?? [],
  )
  expect(documented.sort()).toEqual(Object.keys(catalog).sort())
})

test('relative links in documents resolve', () => {
  const broken = files
    .filter(({ path }) => path.endsWith('.md'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1]?.split('#')[0] ?? '')
        .filter((link) => link !== '' && !/^[a-z]+:/.test(link))
        .filter((link) => !isThere(posix.join(dirname(path), decodeURI(link))))
        .map((link) => `${path}: ${link}`),
    )
  expect(broken).toEqual([])
})

test('docs/README.md leads to every page of the documentation', () => {
  const index = files.find(({ path }) => path === 'docs/README.md')?.text ?? ''
  const unlinked = files
    .map(({ path }) => /^docs\/(?!README)(.+\.md)$/.exec(path)?.[1] ?? '')
    .filter((page) => page !== '' && !index.includes(`](${page})`))
  expect(unlinked).toEqual([])
})

test('relative links lead to a heading that is there', () => {
  const anchorOf = (heading: string): string =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
  const pages = files.filter(({ path }) => path.endsWith('.md'))
  const anchors = new Map(
    pages.map(({ path, text }) => [
      path,
      [...text.matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1] ?? '')),
    ]),
  )
  const broken = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)\s:#]*)#([^)\s]+)\)/g)]
      .filter(([, link = '', anchor = '']) => {
        const page = link === '' ? path : posix.join(dirname(path), link)
        return anchors.get(page)?.includes(anchor) === false
      })
      .map((match) => `${path}: ${match[0]}`),
  )
  expect(broken).toEqual([])
})

test('every decision has a number of its own, without a gap', () => {
  const numbers = files.flatMap(({ path }) => /^docs\/adr\/(\d{4})-/.exec(path)?.[1] ?? [])
  expect(numbers.map(Number).sort((a, b) => a - b)).toEqual(numbers.map((_, at) => at + 1))
})

// ── Migrations ──────────────────────────────────────────────────────────────────────────────────

const migrations = files
  .map(({ path }) => path)
  .filter((path) => /\/migrations\/[^/]+\.sql$/.test(path))

test('migrations are numbered from 0001 without a gap', () => {
  for (const folder of new Set(migrations.map((path) => dirname(path)))) {
    const numbers = migrations
      .filter((path) => dirname(path) === folder)
      .map((path) => Number(/(\d{4})-[a-z0-9-]+\.sql$/.exec(path)?.[1]))
      .sort((a, b) => a - b)
    expect({ folder, numbers }).toEqual({ folder, numbers: numbers.map((_, at) => at + 1) })
  }
})

test('a migration that was released has not changed since', () => {
  const released = git('tag', '--list', 'v*', '--sort=-version:refname')[0]
  if (released === undefined) return
  const changes = git('diff', '--name-status', released, '--', '*/migrations/*.sql')
  expect(changes.filter((line) => !line.startsWith('A'))).toEqual([])
})

// ── What must not be in a repository ────────────────────────────────────────────────────────────

test('no file names a package registry or a folder of the machine it was written on', () => {
  const configured = process.env['npm_config_registry']
  const registries = ['registry.' + 'npmjs.org', 'registry.' + 'yarnpkg.com', 'npm.' + 'pkg.github']
  if (configured && URL.canParse(configured)) registries.push(new URL(configured).host)
  const folders = ['/work' + '/main', '/work' + '/shared', '/root' + '/']
  const named = files.flatMap(({ path, text }) =>
    [...registries, ...folders].filter((name) => text.includes(name)).map((n) => `${path}: ${n}`),
  )
  expect(named).toEqual([])
})

test('the lock file names no host', () => {
  const lock = files.find(({ path }) => path === 'package-lock.json')?.text ?? ''
  expect(/"resolved"/.test(lock)).toBe(false)
})

test('npm is told about every package with an install script', () => {
  const lock = JSON.parse(files.find(({ path }) => path === 'package-lock.json')?.text ?? '{}')
  const manifest = JSON.parse(files.find(({ path }) => path === 'package.json')?.text ?? '{}')
  const packages: Record<string, { hasInstallScript?: boolean }> = lock.packages ?? {}
  const unnamed = Object.entries(packages)
    .filter(([, { hasInstallScript }]) => hasInstallScript)
    .map(([path]) => path.split('node_modules/').at(-1) ?? '')
    .filter((name) => !(name in (manifest.allowScripts ?? {})))
  expect(unnamed).toEqual([])
})

test('the version in the code is the one of the package', () => {
  const manifest = JSON.parse(files.find(({ path }) => path === 'package.json')?.text ?? '{}')
  const code = files.find(({ path }) => path === 'src/version.ts')?.text ?? ''
  expect(/version = '(.*)'/.exec(code)?.[1]).toBe(manifest.version)
})
