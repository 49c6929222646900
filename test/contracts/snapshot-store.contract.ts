import { expect, test } from '@jest/globals'
import type { SnapshotStore } from '../../domain/ports/snapshot-store.ts'
import { newStream } from './event-store.contract.ts'

/** What every snapshot store promises. */
export function snapshotStoreContract(given: () => SnapshotStore): void {
  test('a stream without a snapshot has none', async () => {
    expect(await given().load(newStream(), 1)).toBeNull()
  })

  test('what was saved is loaded, whatever JSON it is', async () => {
    const states = [
      null,
      7,
      'a\u0000 \ud800',
      [1, { b: [] }],
      { balance: '12', list: [null, true] },
    ]
    for (const state of states) {
      const stream = newStream()
      await given().save(stream, 1, { revision: 4, state })
      expect(await given().load(stream, 1)).toEqual({ revision: 4, state })
    }
  })

  test('a newer snapshot replaces an older one, never the other way round', async () => {
    const stream = newStream()
    const save = (revision: number): Promise<void> =>
      given().save(stream, 1, { revision, state: { revision } })
    await save(5)
    await save(9)
    await save(7)
    expect(await given().load(stream, 1)).toEqual({ revision: 9, state: { revision: 9 } })
    await Promise.all([12, 15, 11, 14, 13].map(save))
    expect(await given().load(stream, 1)).toEqual({ revision: 15, state: { revision: 15 } })
  })

  test('versions of the shape are kept apart', async () => {
    const stream = newStream()
    await given().save(stream, 1, { revision: 9, state: 'old' })
    await given().save(stream, 2, { revision: 3, state: 'new' })
    expect(await given().load(stream, 1)).toEqual({ revision: 9, state: 'old' })
    expect(await given().load(stream, 2)).toEqual({ revision: 3, state: 'new' })
    expect(await given().load(stream, 3)).toBeNull()
  })
}
