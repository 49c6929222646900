import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'
import { letIdleQueuesRest } from '../../../infra/kafka/idle-queues.ts'

let queue: RequestQueue
let sent: number[]

beforeEach(() => {
  jest.useFakeTimers()
  letIdleQueuesRest()
  sent = []
  const logger = { debug: () => undefined, warn: () => undefined }
  queue = new RequestQueue({
    ...{ maxInFlightRequests: 1, requestTimeout: 1_000, enforceRequestTimeout: false },
    ...{ clientId: 'test', broker: 'test', logger },
  })
})

afterEach(() => {
  jest.useRealTimers()
})

function ask(correlationId: number): void {
  const entry = { correlationId, resolve: () => undefined, reject: () => undefined }
  queue.push({ entry, expectResponse: true, sendRequest: () => void sent.push(correlationId) })
}

function answer(correlationId: number): void {
  queue.fulfillRequest({ correlationId, size: 0, payload: Buffer.alloc(0) })
}

test('a connection without a waiting request sets no timer', () => {
  ask(1)
  answer(1)
  expect(sent).toEqual([1])
  expect(jest.getTimerCount()).toBe(0)
})

test('a request that has to wait is looked for, and sent when there is room', () => {
  ask(1)
  ask(2)
  expect(sent).toEqual([1])
  expect(jest.getTimerCount()).toBe(1)
  answer(1)
  expect(sent).toEqual([1, 2])
  answer(2)
  jest.runOnlyPendingTimers()
  expect(jest.getTimerCount()).toBe(0)
})
