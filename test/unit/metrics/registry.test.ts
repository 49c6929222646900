import { expect, test } from '@jest/globals'
import { closedSet, Series } from '../../../src/metrics/registry.ts'

test('every combination of closed labels stands at 0 from the start', async () => {
  const series = new Series()
  series.count('things_total', 'Things.', { kind: ['a', 'b'], end: ['good', 'bad'] })
  const lines = (await series.text()).split('\n').filter((line) => line.startsWith('things_total{'))
  expect(lines.sort()).toEqual([
    'things_total{kind="a",end="bad"} 0',
    'things_total{kind="a",end="good"} 0',
    'things_total{kind="b",end="bad"} 0',
    'things_total{kind="b",end="good"} 0',
  ])
})

test('times are taken in ms and told in seconds', async () => {
  const series = new Series()
  series.seconds('work_seconds', 'Work.')(250)
  expect(await series.text()).toContain('work_seconds_sum 0.25\n')
})

test('what cannot be refreshed leaves the other series alone', async () => {
  const series = new Series()
  const gauge = series.gauge('level', 'Level.')
  series.refresh(async () => {
    throw new Error('the database is away')
  })
  series.refresh(async () => gauge(7))
  expect(await series.text()).toContain('level 7\n')
})

test('what nobody answers keeps no answer back, and is asked once', async () => {
  const series = new Series()
  const gauge = series.gauge('level', 'Level.')
  let asked = 0
  series.refresh(() => {
    asked += 1
    return new Promise(() => undefined)
  })
  series.refresh(async () => gauge(7))
  expect(await series.text(1)).toContain('level 7\n')
  expect(await series.text(1)).toContain('level 7\n')
  expect(asked).toBe(1)
})

test('a gauge whose source is away, or late, tells nothing until it is known again', async () => {
  const series = new Series()
  const level = series.gauge('level', 'Level.')
  const depth = series.gauge('depth', 'Depth.', { state: ['a', 'b'] })
  let look = async (): Promise<void> => undefined
  series.refresh(() => look(), [level, depth])
  const linesNow = async (): Promise<string[]> =>
    (await series.text(1)).split('\n').filter((line) => /^(level|depth)/.test(line))
  look = async () => {
    level(7)
    depth(3, { state: 'a' })
  }
  expect(await linesNow()).toEqual(['level 7', 'depth{state="a"} 3', 'depth{state="b"} 0'])
  look = () => Promise.reject(new Error('the database is away'))
  expect(await linesNow()).toEqual([])
  look = async () => level(8)
  expect(await linesNow()).toEqual(['level 8'])
  look = () => new Promise(() => undefined)
  expect(await linesNow()).toEqual([])
})

test('whoever asks at the same time is answered from one look', async () => {
  const series = new Series()
  let asked = 0
  series.refresh(async () => void (asked += 1))
  expect(new Set(await Promise.all([series.text(), series.text(), series.text()])).size).toBe(1)
  expect(asked).toBe(1)
})

test('a set closes itself: what comes late is other', () => {
  const close = closedSet(2)
  expect(['a', 'b', 'c', 'a', 'd'].map(close)).toEqual(['a', 'b', 'other', 'a', 'other'])
})
