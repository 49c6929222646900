import { expect, test } from '@jest/globals'
import { openProjectorMetrics } from '../../../src/metrics/projector.ts'
import { Series } from '../../../src/metrics/registry.ts'

test('how far the log is carried is not told while nobody knows it', async () => {
  const series = new Series()
  const away = () => Promise.reject(new Error('the database is away'))
  openProjectorMetrics(series, {
    ...{ jobTypes: ['a'], consumers: ['a'], readStand: away, readCarriage: away },
    now: () => 0,
  })
  const told = (await series.text()).match(/^weir_(relay|dead|kafka|queue|projection_lag)\w+.*/gm)
  expect(told).toBeNull()
})
