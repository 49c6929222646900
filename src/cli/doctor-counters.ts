import { checkCounters } from '../../workers/invariants/counter-check.ts'
import type { Violation } from '../../workers/invariants/violation.ts'
import { localUrl, metricsPortOf } from '../config.ts'
import type { Config } from '../config.ts'
import { parseMetrics } from '../metrics/parse.ts'
import type { ToolDatabase } from '../profiles/tool.ts'
import type { Finding } from './doctor-checks.ts'

const requestLimitMs = 5_000
const about = 'I15'

/** I15: what the projector exports is what the log says. For a weir that runs and is quiet. */
export async function verifyCounters(
  database: ToolDatabase,
  config: Config,
): Promise<readonly Finding[]> {
  const before = await readExported(config)
  const wrong: Violation[] = []
  const found = (invariant: string, subject: string, detail: string): void => {
    wrong.push({ invariant, subject, detail })
  }
  const counted = await checkCounters(database.profile().newFeed(), before, found)
  const after = await readExported(config)
  const isQuiet = countedIn(before) === countedIn(after)
  if (!isQuiet) {
    return [{ verdict: 'warn', about, detail: 'counters were not compared: the log still grows' }]
  }
  if (wrong.length === 0) {
    return [{ verdict: 'ok', about, detail: `the counters of ${counted} events are what it says` }]
  }
  return wrong.map(({ subject, detail }) => {
    return { verdict: 'fail' as const, about, detail: `${subject}: ${detail}` }
  })
}

type Samples = ReturnType<typeof parseMetrics>

async function readExported(config: Config): Promise<Samples> {
  const base = localUrl(config.host, metricsPortOf(config, 'projector'))
  const signal = AbortSignal.timeout(requestLimitMs)
  return parseMetrics(await (await fetch(`${base}/metrics`, { signal })).text())
}

function countedIn(samples: Samples): number | undefined {
  return samples.find(({ name }) => name === 'weir_events_counted_total')?.value
}
