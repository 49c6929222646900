import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { FastifyRequest } from 'fastify'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { MetaController } from '../../../src/http/meta.controller.ts'
import type { Runtime } from '../../../src/runtime.ts'

let home: string
const local = 'http://127.0.0.1:3000'
const orgId = '01a2233c-8b95-7327-8bec-0782bee4c91e'

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'weir-dev-session-'))
  const names = ['baseUrl', 'apiKey', 'webhookSecret', 'adminUrl']
  const rest = ['adminEmail', 'adminPassword', 'adminToken']
  const dev = Object.fromEntries([...names, ...rest].map((name) => [name, 'x']))
  writeFileSync(join(home, 'dev.json'), JSON.stringify({ ...dev, orgId }))
})

afterAll(() => rmSync(home, { recursive: true }))

/** Asks for a session from this very machine, by a local name. */
function session(publicUrl: string, headers: Readonly<Record<string, string>> = {}): unknown {
  const config = { home, isProduction: false, publicUrl }
  const runtime = { config, clock: new SimulatedClock(), secretKey: new Uint8Array(32) }
  const controller = new MetaController(runtime as unknown as Runtime)
  const request = { ip: '127.0.0.1', headers: { host: '127.0.0.1:3000', ...headers } }
  return controller.devSession(request as unknown as FastifyRequest)
}

test('a browser on this machine gets a session', () => {
  expect(session(local)).toMatchObject({ orgId })
})

test('who comes through a proxy on this machine gets none', () => {
  expect(() => session('https://weir.example.com')).toThrow('no such route')
  for (const header of ['x-forwarded-for', 'x-real-ip', 'forwarded', 'via']) {
    expect(() => session(local, { [header]: '203.0.113.7' })).toThrow('no such route')
  }
})
