import type { PipelineObserver } from '../../domain/pipeline/command-pipeline.ts'
import { Series } from './registry.ts'

/** What every process counts; each role adds what only it knows to `series`. */
export type Metrics = {
  readonly series: Series
  readonly pipeline: PipelineObserver
}

const categories = ['job', 'account', 'price-book', 'operators']

/** @param version of weir, for `weir_build_info` */
export function openMetrics(role: string, version: string): Metrics {
  const series = new Series()
  const build = { role: [role], version: [version] }
  series.gauge('weir_build_info', 'Always 1.', build)(1, { role, version })
  const append = series.seconds('weir_event_append_seconds', 'Time of an append to the log.')
  const conflicts = series.count(
    'weir_event_append_conflicts_total',
    'Appends that were overtaken by another writer of the stream, and decided again.',
    { stream_category: categories },
  )
  return {
    series,
    pipeline: {
      appended: (_category, _count, ms) => append(ms),
      conflicted: (category) => conflicts({ stream_category: category }),
    },
  }
}
