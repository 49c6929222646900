import { randomUUID } from 'node:crypto'
import { expect, test } from '@jest/globals'
import type { IdempotencyStore, IdempotentRequest } from '../../domain/ports/idempotency-store.ts'

const now = Date.UTC(2026, 5, 1)
const lockMs = 30_000
const answer = {
  status: 202,
  body: '{"jobId":"j1","text":"grüße \\u0000"}',
  location: '/v1/jobs/j1',
}

function request(more: Partial<IdempotentRequest> = {}): IdempotentRequest {
  const scope = `acme POST /v1/jobs ${randomUUID()}`
  return { scope, bodySha256: 'ab'.repeat(32), subjectId: randomUUID(), now, lockMs, ...more }
}

/** The same request once more: another try makes another subject id, at another time. */
function again(first: IdempotentRequest, afterMs: number): IdempotentRequest {
  return { ...first, subjectId: randomUUID(), now: first.now + afterMs }
}

/**
 * What every store of idempotency keys promises.
 *
 * @param pass lets time go by for its locks
 */
export function idempotencyStoreContract(
  given: () => IdempotencyStore,
  pass: (ms: number) => Promise<void>,
): void {
  /** Begins, and gives back the lock. */
  const lock = async (wanted: IdempotentRequest): Promise<number> => {
    const begun = await given().begin(wanted)
    if (begun.kind !== 'go') throw new Error(`it is ${begun.kind}`)
    return begun.lockedUntil
  }

  test('the first request goes, with the subject that it brought', async () => {
    const first = request()
    expect(await given().begin(first)).toMatchObject({ kind: 'go', subjectId: first.subjectId })
  })

  test('a repetition waits while the first one is in work', async () => {
    const first = request()
    await given().begin(first)
    await pass(lockMs / 2)
    expect(await given().begin(again(first, lockMs / 2))).toEqual({ kind: 'in_flight' })
  })

  test('a lock ends by the clock of the store, whatever time those who ask have', async () => {
    const first = request()
    await given().begin(first)
    expect(await given().begin(again(first, 10 * lockMs))).toEqual({ kind: 'in_flight' })
    await pass(lockMs)
    expect(await given().begin(again(first, -lockMs))).toMatchObject({ kind: 'go' })
  })

  test('a repetition gets the first answer, for as long as it is kept', async () => {
    const first = request()
    await given().begin(first)
    await given().complete(first.scope, answer)
    const answered = { kind: 'answered', answer }
    expect(await given().begin(again(first, 1))).toEqual(answered)
    expect(await given().begin(again(first, 86_000_000))).toEqual(answered)
  })

  test('an answer need not have a location or a body', async () => {
    const first = request()
    await given().begin(first)
    const empty = { status: 204, body: '', location: null }
    await given().complete(first.scope, empty)
    expect(await given().begin(again(first, 1))).toEqual({ kind: 'answered', answer: empty })
  })

  test('the first answer stays', async () => {
    const first = request()
    await given().begin(first)
    await given().complete(first.scope, answer)
    await given().complete(first.scope, { ...answer, status: 500 })
    expect(await given().begin(again(first, 1))).toEqual({ kind: 'answered', answer })
  })

  test('another body is told from the same one, before and after the answer', async () => {
    const first = request()
    await given().begin(first)
    const other = { ...again(first, 1), bodySha256: 'cd'.repeat(32) }
    expect(await given().begin(other)).toEqual({ kind: 'mismatch' })
    const late = { ...other, now: now + 2 * lockMs }
    expect(await given().begin(late)).toEqual({ kind: 'mismatch' })
    await given().complete(first.scope, answer)
    expect(await given().begin(other)).toEqual({ kind: 'mismatch' })
  })

  test('when the first one is taken for dead, a repetition makes the same subject', async () => {
    const first = request()
    const { subjectId } = first
    await given().begin(first)
    await pass(lockMs)
    const second = again(first, lockMs)
    expect(await given().begin(second)).toMatchObject({ kind: 'go', subjectId })
    // It is locked anew, from the time of the takeover.
    await pass(lockMs / 2)
    expect(await given().begin(again(second, lockMs / 2))).toEqual({ kind: 'in_flight' })
    await pass(lockMs / 2)
    expect(await given().begin(again(second, lockMs))).toMatchObject({ kind: 'go', subjectId })
  })

  test('a refused request leaves nothing behind', async () => {
    const first = request()
    await given().abandon(first.scope, await lock(first))
    const other = { ...again(first, 1), bodySha256: 'cd'.repeat(32) }
    expect(await given().begin(other)).toMatchObject({ kind: 'go', subjectId: other.subjectId })
  })

  test('a request that was taken over cannot abandon what is in work now', async () => {
    const first = request()
    const lockedUntil = await lock(first)
    await pass(lockMs)
    const second = again(first, lockMs)
    await given().begin(second)
    await given().abandon(first.scope, lockedUntil)
    await given().complete(second.scope, answer)
    expect(await given().begin(again(second, 1))).toEqual({ kind: 'answered', answer })
  })

  test('what was answered is not abandoned', async () => {
    const first = request()
    const lockedUntil = await lock(first)
    await given().complete(first.scope, answer)
    await given().abandon(first.scope, lockedUntil)
    expect(await given().begin(again(first, 1))).toEqual({ kind: 'answered', answer })
  })

  test('keys of different scopes have nothing to do with each other', async () => {
    const [first, second] = [request(), request()]
    await given().begin(first)
    await given().complete(first.scope, answer)
    const { subjectId } = second
    expect(await given().begin(second)).toMatchObject({ kind: 'go', subjectId })
    await given().abandon(randomUUID(), now + lockMs)
    await given().complete(randomUUID(), answer)
  })

  test('of requests that begin at the same time one goes', async () => {
    for (let round = 0; round < 10; round += 1) {
      const first = request()
      const begun = await Promise.all([0, 1, 2, 3].map(() => given().begin(again(first, 0))))
      const kinds = begun.map(({ kind }) => kind).sort()
      expect(kinds).toEqual(['go', 'in_flight', 'in_flight', 'in_flight'])
    }
  })

  test('of requests that take over at the same time one goes', async () => {
    const first = request()
    await given().begin(first)
    await pass(lockMs)
    const late = [0, 1, 2, 3].map(() => given().begin(again(first, lockMs)))
    const begun = await Promise.all(late)
    expect(begun.filter(({ kind }) => kind === 'go')).toMatchObject([
      { kind: 'go', subjectId: first.subjectId },
    ])
  })

  test('old keys are forgotten in batches', async () => {
    const old = [1, 2, 3].map((days) => request({ now: now - (days + 1) * 86_400_000 }))
    for (const each of old) await given().begin(each)
    expect(await given().forget(now - 86_400_000, 2)).toBe(2)
    expect(await given().forget(now - 86_400_000, 2)).toBe(1)
  })

  test('old keys are forgotten, younger ones are not', async () => {
    const [old, young] = [request({ now: now - 86_400_001 }), request({ now: now - 86_400_000 })]
    for (const each of [old, young]) {
      await given().begin(each)
      await given().complete(each.scope, answer)
    }
    expect(await given().forget(now - 86_400_000, 10)).toBe(1)
    expect(await given().forget(now - 86_400_000, 10)).toBe(0)
    expect(await given().begin(again(old, 86_400_001))).toMatchObject({ kind: 'go' })
    expect(await given().begin(again(young, 86_400_000))).toMatchObject({ kind: 'answered' })
  })
}
