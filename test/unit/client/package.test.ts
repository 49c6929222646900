import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { root } from '../../support/repository.ts'

type Manifest = { readonly version: string; readonly dependencies: Record<string, string> }

const manifestOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest

test('the SDK works as a package of its own, with one dependency', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-client-'))
  try {
    const modules = join(folder, 'node_modules')
    mkdirSync(join(modules, 'weir-client'), { recursive: true })
    const client = { cwd: join(root, 'client'), stdio: 'pipe', encoding: 'utf8' } as const
    execFileSync('npm', ['pack', '--loglevel=error', '--pack-destination', folder], client)
    const { version, dependencies } = manifestOf(client.cwd)
    const packed = join(folder, `weir-client-${version}.tgz`)
    const target = join(modules, 'weir-client')
    execFileSync('tar', ['-xzf', packed, '--strip-components=1', '-C', target])
    symlinkSync(join(root, 'node_modules/socket.io-client'), join(modules, 'socket.io-client'))
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

    const own = manifestOf(root)
    expect(Object.keys(dependencies)).toEqual(['socket.io-client'])
    expect(dependencies['socket.io-client']).toBe(own.dependencies['socket.io-client'])
    expect(version).toBe(own.version)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
