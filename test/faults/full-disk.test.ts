import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Client, newOrg, sandbox } from '../support/client.ts'
import { startWeir, type Weir } from '../support/weir.ts'

const limitMs = 60_000
/** Every write to this device fails as on a full disk. */
const full = '/dev/full'
const folder = mkdtempSync(join(tmpdir(), 'weir-full-'))

let weir: Weir

beforeAll(async () => {
  for (const role of ['api', 'worker', 'projector']) symlinkSync(full, join(folder, `${role}.log`))
  weir = await startWeir({ env: { WEIR_LOG_FOLDER: folder } })
}, limitMs)

afterAll(async () => {
  await weir.stop()
  rmSync(folder, { recursive: true })
}, limitMs)

test('roles work on, and stop in order, though their logs cannot be written', async () => {
  const { api } = await newOrg(new Client(weir.baseUrl, weir.dev.adminToken))
  expect(await api.run(sandbox({ steps: 1 }))).toMatchObject({ status: 'succeeded', attempt: 1 })
  await weir.kill('worker', 'SIGTERM')
  expect(await api.run(sandbox({ steps: 1 }))).toMatchObject({ status: 'succeeded', attempt: 1 })
  expect(weir.log).toContain('weir-worker ended (code 0)')
})
