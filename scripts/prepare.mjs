// Plain JavaScript without packages, the one exception to "scripts are TypeScript": it runs before
// anything is installed or built, and Node 20 cannot run TypeScript.
//
//   node scripts/prepare.mjs                    install and build what is missing or out of date
//   node scripts/prepare.mjs --dev              the same, and the packages that only tests need
//   node scripts/prepare.mjs dist/src/main.js   the same, then become that program
//
// When nothing changed it costs some 30 ms: the packages are compared with the lock file, the
// sources by size and time with those of the last build.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const sourceFolders = ['domain', 'projections', 'workers', 'infra', 'src', 'client', 'examples']
const buildFiles = [
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'scripts/bundle.mjs',
]
const stampFile = join(root, 'dist', '.weir-build')
const oldestNode = [20, 19]

class Refusal extends Error {}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return
  throw new Refusal(
    `weir needs Node ${oldestNode.join('.')} or newer; this is ${process.versions.node}.`,
  )
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8'))
  } catch {
    return undefined
  }
}

/** npm writes node_modules/.package-lock.json last: it says what is really there. */
function isInstalled(withDev) {
  const wanted = readJson('package-lock.json')?.packages
  const present = readJson('node_modules/.package-lock.json')?.packages
  if (!wanted) throw new Refusal('package-lock.json is missing or broken: restore it from git.')
  if (!present) return false
  return Object.entries(wanted).every(([path, { version, dev, optional, devOptional }]) => {
    if (path === '') return true
    if (present[path]) return present[path].version === version
    return optional || devOptional || (dev && !withDev)
  })
}

function install() {
  const started = performance.now()
  console.error('Installing packages …')
  // Development packages too, whatever NODE_ENV says: the compiler is one of them.
  const flags = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = process.env.npm_execpath
  const result =
    npm && /\.c?js$/.test(npm)
      ? spawnSync(process.execPath, [npm, ...flags], npmOptions())
      : spawnSync('npm', flags, { ...npmOptions(), shell: process.platform === 'win32' })
  if (result.status !== 0) {
    const why = result.error ? result.error.message : `it ended with ${endOf(result)}`
    throw new Refusal(
      `The packages could not be installed with "npm ci" (${why}). ` +
        'Check the network and the rights on this folder, then try again.',
    )
  }
  console.error(`Installed in ${secondsSince(started)} s.`)
}

function npmOptions() {
  return { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }
}

function endOf({ status, signal }) {
  return signal ? `signal ${signal}` : `code ${status}`
}

function secondsSince(started) {
  return ((performance.now() - started) / 1000).toFixed(1)
}

function listFiles(folder, found = []) {
  if (!existsSync(join(root, folder))) return found
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`
    if (entry.name === 'node_modules' || entry.name === 'dist') continue
    if (entry.isDirectory()) listFiles(path, found)
    else found.push(path)
  }
  return found
}

function listSources() {
  return sourceFolders.flatMap((folder) => listFiles(folder)).sort()
}

function fingerprint(sources) {
  const hash = createHash('sha256')
  for (const file of [...sources, ...buildFiles]) {
    const { size, mtimeMs } = statSync(join(root, file))
    hash.update(`${file}\0${size}\0${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

function isBuilt(print) {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === print
}

async function build(sources, print) {
  const started = performance.now()
  console.error('Building …')
  rmSync(stampFile, { force: true })
  const compiler = join(root, 'node_modules', '@typescript', 'native', 'bin', 'tsc')
  // Types are checked by `npm test`: whoever starts weir need not wait for that.
  const flags = [compiler, '-p', 'tsconfig.build.json', '--noCheck']
  const result = spawnSync(process.execPath, flags, { cwd: root, stdio: ['ignore', 2, 2] })
  if (result.status !== 0) {
    throw new Refusal(`The build failed (tsc ended with ${endOf(result)}); see the errors above.`)
  }
  const outputs = new Set(sources.flatMap(outputsOf))
  for (const file of sources.filter(isAsset)) copy(file)
  // What is left of deleted sources must go: a migration would still be applied.
  for (const folder of sourceFolders) {
    for (const file of listFiles(`dist/${folder}`)) {
      if (!outputs.has(file)) rmSync(join(root, file))
    }
  }
  // Loaded by need: there is no esbuild before the packages are installed.
  const { bundle } = await import('./bundle.mjs')
  await bundle()
  writeFileSync(stampFile, print)
  console.error(`Built in ${secondsSince(started)} s.`)
}

function isAsset(file) {
  return !/\.(ts|tsx|md)$/.test(file)
}

function outputsOf(file) {
  if (isAsset(file)) return [`dist/${file}`]
  const stem = `dist/${file.replace(/\.tsx?$/, '')}`
  return ['.js', '.js.map', '.d.ts', '.d.ts.map'].map((ending) => stem + ending)
}

function copy(file) {
  const target = join(root, 'dist', file)
  mkdirSync(dirname(target), { recursive: true })
  copyFileSync(join(root, file), target)
}

async function prepare(withDev) {
  checkNode()
  const sources = listSources()
  const print = fingerprint(sources)
  const mustBuild = !isBuilt(print)
  // A compiled weir runs without the development packages.
  if (!isInstalled(withDev || mustBuild)) install()
  if (mustBuild) await build(sources, print)
}

/** In this process, so that signals and the exit code are the program's own. */
async function become(program, programArguments) {
  const file = join(root, program)
  process.argv.splice(1, process.argv.length, file, ...programArguments)
  await import(pathToFileURL(file).href)
}

const [first, ...rest] = process.argv.slice(2)
const program = first === '--dev' ? undefined : first
try {
  await prepare(first === '--dev')
  if (program && !existsSync(join(root, program))) {
    throw new Refusal(`There is no ${program} in this build.`)
  }
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  console.error(error.message)
  process.exit(1)
}
if (program) await become(program, rest)
