import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { root } from '../../support/repository.ts'

type Manifest = { readonly version: string; readonly dependencies: Record<string, string> }

const documents = ['client/README.md', 'docs/how-to/use-the-client.md']
/** What the examples of the documents speak of. */
const prelude = `
import { Weir, WeirError } from 'weir-client'
declare const weir: import('weir-client').Weir
declare const job: import('weir-client').NewJob
declare const jobId: string
declare const file: Blob
`
const compilerOptions = {
  ...{ module: 'nodenext', target: 'es2023', lib: ['es2023', 'dom', 'dom.asynciterable'] },
  ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
  ...{ types: [], noEmit: true },
}

const manifestOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest

let folder: string

/** A program's folder with the packed SDK installed in it. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-client-'))
  const modules = join(folder, 'node_modules')
  const target = join(modules, 'weir-client')
  mkdirSync(target, { recursive: true })
  const client = { cwd: join(root, 'client'), stdio: 'pipe', encoding: 'utf8' } as const
  execFileSync('npm', ['pack', '--loglevel=error', '--pack-destination', folder], client)
  const packed = join(folder, `weir-client-${manifestOf(client.cwd).version}.tgz`)
  execFileSync('tar', ['-xzf', packed, '--strip-components=1', '-C', target])
  symlinkSync(join(root, 'node_modules/socket.io-client'), join(modules, 'socket.io-client'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the SDK works as a package of its own, with one dependency', () => {
  writeFileSync(
    join(folder, 'use.mjs'),
    `import { Weir, WeirError, verifyWebhook } from 'weir-client'
     import * as webhook from 'weir-client/webhook'
     const weir = new Weir({ baseUrl: 'http://127.0.0.1:9', token: 'x', retryForMs: 0 })
     const error = await weir.balance().catch((thrown) => thrown)
     await weir.watch('x', { signal: AbortSignal.abort('left') }).next().catch(console.log)
     console.log(error instanceof WeirError, webhook.verifyWebhook === verifyWebhook)`,
  )
  const printed = execFileSync(process.execPath, ['use.mjs'], { cwd: folder, encoding: 'utf8' })
  expect(printed).toBe('left\ntrue true\n')
  const [own, packed] = [manifestOf(root), manifestOf(join(root, 'client'))]
  expect(packed.version).toBe(own.version)
  expect(packed.dependencies).toEqual({
    'socket.io-client': own.dependencies['socket.io-client'],
  })
})

test('what its documents show compiles against the package', () => {
  const blocks = documents.flatMap((name) => {
    const text = readFileSync(join(root, name), 'utf8')
    return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code)
  })
  expect(blocks.length).toBeGreaterThan(5)
  const files = blocks.map((code, at) => {
    // A name that the block makes itself is not declared for it.
    const declared = prelude
      .split('\n')
      .filter((line) => !line.startsWith('import') || !code.includes('import '))
      .filter((line) => !made(code).some((name) => line.startsWith(`declare const ${name}:`)))
    const file = `block-${at}.ts`
    writeFileSync(join(folder, file), `${declared.join('\n')}\n${code}\nexport {}\n`)
    return file
  })
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  const compiler = join(root, 'node_modules/@typescript/native/bin/tsc')
  const { stdout, status } = spawnSync(process.execPath, [compiler], {
    cwd: folder,
    encoding: 'utf8',
  })
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 })
})

/** The constants that the code makes. */
function made(code: string): string[] {
  return [...code.matchAll(/^(?:export )?const (?:\{([^}]*)\}|(\w+)) =/gm)].flatMap(
    ([, names, name]) => (names ?? name ?? '').split(',').map((each) => each.trim()),
  )
}
