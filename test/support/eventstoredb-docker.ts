import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers'
import type { EventStoreDbServer } from './eventstoredb.ts'
import type { RunPlace } from './once-in-run.ts'

const image = 'eventstore/eventstore:23.10.1-bookworm-slim'
const portInside = 2113

/** EventStoreDB in a container. It is not started yet. @throws when no Docker engine answers */
export async function dockerEventStoreDb(
  { folder }: RunPlace,
  port: number,
): Promise<EventStoreDbServer> {
  const { container: engine } = await getContainerRuntimeClient()
  let id: string | null = null
  return {
    url: `esdb://127.0.0.1:${port}?tls=false`,
    start: async () => {
      if (id !== null) {
        await engine.start(engine.getById(id))
        return
      }
      const started = await new GenericContainer(image)
        .withPlatform('linux/amd64')
        .withEnvironment({ EVENTSTORE_INSECURE: 'true', EVENTSTORE_RUN_PROJECTIONS: 'None' })
        .withExposedPorts({ container: portInside, host: port })
        .withWaitStrategy(Wait.forHttp('/health/live', portInside).forStatusCode(204))
        // It outlives the process that asked first; the end of the run removes it.
        .withAutoCleanup(false)
        .start()
      id = started.getId()
      await writeFile(join(folder, 'container.id'), id)
    },
    kill: async () => {
      if (id !== null) await engine.getById(id).kill()
    },
    stop: async () => {
      if (id !== null) await engine.getById(id).remove({ force: true, v: true })
      id = null
    },
  }
}
