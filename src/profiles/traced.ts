import type { PipelineObserver } from '../../domain/pipeline/command-pipeline.ts'
import type { Config } from '../config.ts'
import type { StartSpan } from '../telemetry/telemetry.ts'
import { TracedEventStore } from '../telemetry/traced-event-store.ts'
import { jobTraceparent } from '../telemetry/traced-job-types.ts'
import { TracedTransport } from '../telemetry/traced-transport.ts'
import { openEmbedded } from './embedded.ts'
import type { Profile } from './profile.ts'

/** The embedded profile with spans around what it appends and sends; without them when null. */
export function openWatched(
  config: Config,
  name: string,
  observer: PipelineObserver,
  startSpan: StartSpan | null,
): Profile {
  if (startSpan === null) return openEmbedded(config, name, observer)
  const profile = openEmbedded(
    config,
    name,
    observer,
    (store) => new TracedEventStore(store, startSpan),
  )
  const traceparentOf = jobTraceparent(profile.pipelines)
  const transport = new TracedTransport(profile.transport, startSpan, traceparentOf)
  return { ...profile, transport }
}
