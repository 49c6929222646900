import type { PipelineObserver } from '../../domain/pipeline/command-pipeline.ts'
import type { LoopReport } from '../../workers/loop.ts'
import type { Config } from '../config.ts'
import type { StartSpan } from '../telemetry/telemetry.ts'
import { TracedEventStore } from '../telemetry/traced-event-store.ts'
import { jobTraceparent } from '../telemetry/traced-job-types.ts'
import { TracedTransport } from '../telemetry/traced-transport.ts'
import { profileOpener } from './open.ts'
import type { Profile } from './profile.ts'

/** What a role shows of its adapters. */
export type RoleWatch = {
  readonly observer: PipelineObserver
  readonly report: LoopReport
  /** Null unless traces are collected. */
  readonly startSpan: StartSpan | null
}

/** The profile with spans around what it appends and sends; without them when null. */
export async function openWatched(
  config: Config,
  name: string,
  { observer, report, startSpan }: RoleWatch,
): Promise<Profile> {
  const open = await profileOpener(config)
  if (startSpan === null) {
    return open(config, name, { observer, report, wrapStore: (store) => store })
  }
  const wrapStore = (store: Profile['store']) => new TracedEventStore(store, startSpan)
  const profile = open(config, name, { observer, report, wrapStore })
  const traceparentOf = jobTraceparent(profile.pipelines)
  const transport = new TracedTransport(profile.transport, startSpan, traceparentOf)
  return { ...profile, transport }
}
