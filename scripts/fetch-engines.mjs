// Fetches and builds the engines that tests drive, beside the static checks: they mostly wait for
// servers, and the set-up of the tests would wait for them alone. What goes wrong is told there.

import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
// As deep as its source lies, which finds the cache by its own place.
const outfile = join(root, '.cache', 'engines', 'engine-programs.mjs')

mkdirSync(dirname(outfile), { recursive: true })
await build({
  ...{ outfile, entryPoints: [join(root, 'test', 'support', 'engine-programs.ts')] },
  ...{ bundle: true, platform: 'node', format: 'esm', packages: 'external', logLevel: 'error' },
})
const { fetchEnginePrograms } = await import(outfile)
await fetchEnginePrograms()
