import { expect, test } from '@jest/globals'
import { MemoryBus } from '../../../infra/memory/bus.ts'
import { MemorySignals } from '../../../infra/memory/signals.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { BalanceChannels } from '../../../src/realtime/balance-channels.ts'
import type { Runtime } from '../../../src/runtime.ts'

/** Channels over one balance; reads wait for `answer` while they are held. */
async function given(isKnown = true) {
  const signals = new MemorySignals(new MemoryBus())
  const clock = new SimulatedClock()
  const read = { posted: '10', isAway: false, isKnown, held: [] as (() => void)[], isHeld: false }
  const sql = async (_name: string, _text: string, [orgIds]: [readonly string[]]) => {
    if (read.isAway) throw new Error('the database is away')
    if (!read.isKnown) return []
    const row = {
      orgId: orgIds.at(-1),
      available: read.posted,
      held: '0',
      posted: read.posted,
      overdraft: '0',
    }
    if (read.isHeld) await new Promise<void>((resolve) => read.held.push(resolve))
    return [row]
  }
  const log = { error: () => undefined }
  const channels = new BalanceChannels({ signals, sql, clock, log } as unknown as Runtime)
  await channels.open()
  const heard: string[] = []
  const leave = await channels.watch('acme', ({ posted }) => heard.push(posted))
  const signal = (orgId = 'acme') => signals.publish('balance_updates', { orgIds: [orgId] })
  return { channels, clock, read, heard, leave, signal }
}

test('a balance is told when it moves, not when it stands', async () => {
  const { channels, clock, read, heard, signal } = await given()
  await signal()
  await clock.advance(0)
  read.posted = '7'
  await signal()
  await clock.advance(0)
  await signal()
  await clock.advance(0)
  await channels.close()
  expect(heard).toEqual(['7'])
})

test('an older balance never follows a newer one', async () => {
  const { channels, clock, read, heard, signal } = await given()
  read.isHeld = true
  read.posted = '7'
  await signal()
  await clock.advance(0)
  read.posted = '3'
  await signal()
  await clock.advance(0)
  expect(read.held).toHaveLength(1)
  read.isHeld = false
  for (const answer of read.held) answer()
  await clock.advance(0)
  await channels.close()
  expect(heard).toEqual(['7', '3'])
})

test('a balance whose signal was lost, or that could not be read, is told later', async () => {
  const { channels, clock, read, heard, signal } = await given()
  read.posted = '7'
  await clock.advance(5_000)
  expect(heard).toEqual(['7'])
  read.posted = '3'
  read.isAway = true
  await signal()
  await clock.advance(0)
  read.isAway = false
  await clock.advance(5_000)
  await channels.close()
  expect(heard).toEqual(['7', '3'])
})

test('an org hears of its own balance only', async () => {
  const { channels, clock, read, heard, signal } = await given()
  const others: string[] = []
  await channels.watch('globex', ({ posted }) => others.push(posted))
  read.posted = '7'
  await signal('globex')
  await clock.advance(0)
  await channels.close()
  expect([heard, others]).toEqual([[], ['7']])
})

test('the first balance of an org that was not known yet is told', async () => {
  const { channels, clock, read, heard, signal } = await given(false)
  read.isKnown = true
  await signal()
  await clock.advance(0)
  await channels.close()
  expect(heard).toEqual(['10'])
})

test('who has left takes nothing from those who stay', async () => {
  const { channels, clock, read, heard, leave, signal } = await given()
  const stays: string[] = []
  await channels.watch('acme', ({ posted }) => stays.push(posted))
  leave()
  read.posted = '7'
  await signal()
  await clock.advance(0)
  await channels.close()
  expect([heard, stays]).toEqual([[], ['7']])
})

test('who has left hears nothing more', async () => {
  const { channels, clock, read, heard, leave, signal } = await given()
  leave()
  read.posted = '7'
  await signal()
  await clock.advance(5_000)
  await channels.close()
  expect(heard).toEqual([])
})
