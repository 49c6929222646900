import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { readConfig } from '../../src/config.ts'
import { keepDevFile, readDevFile } from '../../src/supervisor/dev-file.ts'
import { growingDelay } from '../../src/supervisor/growing-delay.ts'
import { isHomeTaken, lockHome } from '../../src/supervisor/home-lock.ts'
import { keepPostgres } from '../../src/supervisor/postgres-keeper.ts'
import { processIdentity } from '../../src/supervisor/process-identity.ts'
import { giveSign } from '../../src/supervisor/sign-of-life.ts'
import { welcome } from '../../src/supervisor/welcome.ts'

const dev = {
  baseUrl: 'http://127.0.0.1:3000',
  apiKey: 'weir_live_a_b_c',
  orgId: 'org',
  webhookSecret: 'whsec_a',
  adminUrl: 'http://127.0.0.1:3000/admin',
  adminEmail: 'owner@example.test',
  adminPassword: 'password',
  adminToken: 'weir_admin_a',
}

async function withHome<T>(use: (home: string) => T | Promise<T>): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), 'weir-home-'))
  try {
    return await use(home)
  } finally {
    rmSync(home, { recursive: true })
  }
}

test('restarts slow down from 0.1 s to 5 s, and begin anew after ten healthy seconds', () => {
  const delay = growingDelay()
  const delays = [0, 0, 0, 0, 0, 0, 9_999, 0].map((ranMs) => delay.nextMs(ranMs))
  expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
  expect(delay.nextMs(10_000)).toBe(100)
})

test('a Postgres that comes back elsewhere is announced, and stopped at last', async () => {
  const said: string[] = []
  const stopped: number[] = []
  const ends: (() => void)[] = []
  let moved = (): void => undefined
  const hasMoved = new Promise<void>((resolve) => {
    moved = resolve
  })
  const keeper = await keepPostgres({
    start: async () => {
      const number = ends.length
      const exited = new Promise<void>((resolve) => ends.push(resolve))
      const stop = async (): Promise<void> => {
        stopped.push(number)
        ends[number]?.()
        await exited
      }
      return await Promise.resolve({ url: `postgres://server-${number}/`, exited, stop })
    },
    onMoved: moved,
    say: (line) => said.push(line),
  })
  expect(keeper.url()).toBe('postgres://server-0/')
  ends[0]?.()
  await hasMoved
  expect(keeper.url()).toBe('postgres://server-1/')
  await keeper.stop()
  expect(new Set(stopped)).toEqual(new Set([1]))
  expect(said).toEqual([
    'Postgres ended unexpectedly, starting it again.',
    'Postgres is running again.',
  ])
})

test('a lock of a process that has ended counts for nothing', async () => {
  await withHome(async (home) => {
    const first = await lockHome(home)
    first.release()
    writeFileSync(join(home, 'lock', 'held-999999999-0123456789ab'), '')
    writeFileSync(join(home, 'lock', `held-${process.ppid}-0123456789ab`), '')
    const second = await lockHome(home)
    second.release()
  })
})

test('a home that a living process holds is refused, by name of the process', async () => {
  await withHome(async (home) => {
    const lock = await lockHome(home)
    lock.release()
    const parent = processIdentity(process.ppid) ?? ''
    writeFileSync(join(home, 'lock', `claim-${parent}`), '')
    writeFileSync(join(home, 'lock', `held-${parent}`), '')
    await expect(lockHome(home)).rejects.toThrow(
      `weir is already running in ${home} (process ${process.ppid})`,
    )
  })
})

test('a home that another container holds is refused, though its process is not seen', async () => {
  await withHome(async (home) => {
    const first = await lockHome(home)
    first.release()
    const folder = join(home, 'lock')
    const identity = '1-0123456789ab'
    const end = await giveSign(folder, identity)
    writeFileSync(join(folder, `claim-${identity}`), '')
    writeFileSync(join(folder, `held-${identity}`), '')
    const refused = `weir is already running in ${home} (process 1)`
    await expect(lockHome(home)).rejects.toThrow(refused)
    expect(await isHomeTaken(home)).toBe(true)
    end()
    expect(await isHomeTaken(home)).toBe(false)
    expect(readdirSync(folder)).toEqual([])
    const second = await lockHome(home)
    second.release()
    expect(readdirSync(folder)).toEqual([])
  })
})

test('dev.json follows the port, and is made anew when damaged', async () => {
  await withHome((home) => {
    const config = readConfig({ WEIR_HOME: home, WEIR_PORT: '4000' })
    const expected = {
      ...dev,
      baseUrl: 'http://127.0.0.1:4000',
      adminUrl: 'http://127.0.0.1:4000/admin',
    }
    expect(keepDevFile(config, dev)).toEqual(expected)
    expect(keepDevFile(config, undefined)).toEqual(expected)
    expect(readDevFile(home)).toEqual(expected)
    writeFileSync(join(home, 'dev.json'), '{ "apiKey": ')
    expect(readDevFile(home)).toBeUndefined()
  })
})

test('the welcome shows the URL, the key and a curl that runs as it is pasted', () => {
  const text = welcome(readConfig({ WEIR_HOST: '0.0.0.0' }), dev)
  expect(text).toContain('URL  http://127.0.0.1:3000/')
  expect(text).toContain('Key  weir_live_a_b_c')
  expect(text).toMatch(/curl -s http:\/\/127\.0\.0\.1:3000\/v1\/jobs \\\n/)
  expect(welcome(readConfig({ WEIR_SANDBOX: 'false' }), dev)).not.toContain('sandbox')
})
