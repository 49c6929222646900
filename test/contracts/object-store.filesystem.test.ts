import { mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { ObjectStoreUnavailable } from '../../domain/ports/object-store.ts'
import { FilesystemObjectStore } from '../../infra/filesystem/object-store.ts'
import { MovableClock, serveObjects, type ObjectServer } from '../support/object-server.ts'
import { bytesOf, newKey, objectStoreContract } from './object-store.contract.ts'

const options = { contentType: 'text/plain', bytesMax: 10_000_000 }

let root: string
let served: ObjectServer<FilesystemObjectStore>

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weir-objects-'))
  served = await serveObjects((given) => new FilesystemObjectStore({ root, ...given }))
})

afterAll(async () => {
  await served.server.close()
  await served.store.close()
  await rm(root, { recursive: true })
})

objectStoreContract(() => ({ store: served.store, now: () => served.clock.now() }))

describe('files', () => {
  let folder: string
  let clock: MovableClock
  const opened: FilesystemObjectStore[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(root, 'store-'))
    clock = new MovableClock()
  })

  afterAll(() => Promise.all(opened.map((store) => store.close())))

  /** As another process would open it. */
  function open(): FilesystemObjectStore {
    const secretKey = Buffer.alloc(32)
    const store = new FilesystemObjectStore({ root: folder, baseUrl: 'http://x', secretKey, clock })
    opened.push(store)
    return store
  }

  async function filesBelow(path: string): Promise<string[]> {
    const entries = await readdir(path, { recursive: true, withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  }

  test('a disk that is full makes the store unavailable, and leaves nothing behind', async () => {
    // The error that a write to a full disk ends with; here it comes out of the source.
    async function* fails(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('half')
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    }
    await expect(open().put('a/full', fails(), options)).rejects.toThrow(ObjectStoreUnavailable)
    expect(await filesBelow(folder)).toEqual([])
  })

  test('another process sees objects once they are put', async () => {
    const [writer, reader] = [open(), open()]
    await writer.put('a/1', Buffer.from('one'), options)
    expect((await bytesOf((await reader.get('a/1')).body)).toString()).toBe('one')
  })

  test('all keys are told, also those of objects that share a file', async () => {
    const store = open()
    const told = async () => {
      const all: string[] = []
      for await (const key of store.keys()) all.push(key)
      return all.sort()
    }
    expect(await told()).toEqual([])
    const keys = Array.from({ length: 20 }, (_, number) => `small/${number}`)
    await Promise.all(keys.map((key) => store.put(key, Buffer.from(key), options)))
    await store.put('large/1', Buffer.alloc(3_000_000), options)
    await store.delete('small/3')
    const left = keys.filter((key) => key !== 'small/3')
    expect(await told()).toEqual([...left, 'large/1'].sort())
  })

  test('small objects put at once share a file, which goes with the last of them', async () => {
    const store = open()
    const keys = Array.from({ length: 100 }, newKey)
    await Promise.all(keys.map((key) => store.put(key, Buffer.from('small'), options)))
    const inodes = async () =>
      new Set(await Promise.all((await filesBelow(folder)).map(async (f) => (await stat(f)).ino)))
    expect((await inodes()).size).toBe(1)
    await Promise.all(keys.slice(1).map((key) => store.delete(key)))
    expect(await store.head(keys[0]!)).toMatchObject({ bytes: 5 })
    await store.delete(keys[0]!)
    expect((await inodes()).size).toBe(0)
  })

  test('a put leaves no temporary file, whether it succeeds or fails', async () => {
    const store = open()
    async function* failing() {
      yield Buffer.alloc(10)
      throw new Error('broken')
    }
    await store.put('a', Buffer.alloc(10), options)
    await store.put('a', Buffer.alloc(10), options)
    await store.put('b', Buffer.alloc(100_000), options)
    await expect(store.put('c', failing(), options)).rejects.toThrow('broken')
    expect(await readdir(join(folder, 'tmp'))).toEqual([])
  })

  test('the sweep removes what a killed process left, not what is being written', async () => {
    const store = open()
    await store.put('kept', Buffer.from('x'), options)
    await writeFile(join(folder, 'tmp', 'left-behind'), 'half of an obj')
    expect(await store.sweep(60_000)).toBe(0)
    clock.aheadMs = 61_000
    expect(await store.sweep(60_000)).toBe(1)
    expect(await readdir(join(folder, 'tmp'))).toEqual([])
    expect(await store.head('kept')).toMatchObject({ bytes: 1 })
  })

  test('the sweep of a folder that was never used finds nothing', async () => {
    expect(await open().sweep()).toBe(0)
  })

  test('an error of the disk rejects, and a later put works again', async () => {
    const store = open()
    await writeFile(join(folder, 'objects'), 'in the way')
    const bodies = [Buffer.from('small'), Buffer.alloc(100_000)]
    for (const body of bodies) await expect(store.put('a', body, options)).rejects.toThrow()
    await rm(join(folder, 'objects'))
    for (const body of bodies) await store.put('a', body, options)
    expect(await store.head('a')).toMatchObject({ bytes: 100_000 })
  })

  test('a key that cannot be placed does not harm the others of its batch', async () => {
    const store = open()
    await store.put('a/1', Buffer.from('x'), options)
    const [path] = await filesBelow(join(folder, 'objects'))
    await rm(path!)
    await mkdir(path!)
    const puts = ['a/1', 'a/2'].map((key) => store.put(key, Buffer.from('y'), options))
    const outcomes = await Promise.allSettled(puts)
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(await readdir(join(folder, 'tmp'))).toEqual([])
  })

  test('a damaged file is an error, never another object', async () => {
    const store = open()
    await store.put('a', Buffer.alloc(100_000), options)
    const [path] = await filesBelow(join(folder, 'objects'))
    await truncate(path!, 50_000)
    await expect(store.head('a')).rejects.toThrow('has no index')
    await truncate(path!, 0)
    await expect(store.get('a')).rejects.toThrow('has no index')
  })

  test('of several puts that want to be the only one, one wins', async () => {
    const stores = [open(), open(), open()]
    async function* body(text: string) {
      yield Buffer.from(text)
    }
    const all = await Promise.all(
      stores.map((store, n) => store.putOnce('a', body(`${n}`), options)),
    )
    const won = all.filter((object) => object !== null)
    expect(won).toHaveLength(1)
    expect(await stores[0]!.head('a')).toEqual(won[0])
  })

  test('a body that nobody reads holds no file open; replaced, it is missing', async () => {
    const store = open()
    await store.put('a', Buffer.alloc(100_000, 'a'), options)
    const { body } = await store.get('a')
    await store.put('a', Buffer.alloc(100_000, 'b'), options)
    await expect(bytesOf(body)).rejects.toThrow('was replaced')
  })

  test('a part of an object is read alone', async () => {
    const store = open()
    const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, n) => n % 251))
    await store.put('a', bytes, options)
    for (const [start, end] of [
      [0, 1],
      [199_999, 200_000],
      [5, 150_000],
      [7, 7],
    ] as const) {
      const part = await bytesOf((await store.get('a', { start, end })).body)
      expect(part.equals(bytes.subarray(start, end))).toBe(true)
    }
  })
})
