import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers'
import { removeContainer } from './end-shared.ts'
import { freePorts } from './free-ports.ts'
import { kafkaVersion, nodeSettings, type KafkaBroker } from './kafka-settings.ts'
import type { RunPlace } from './once-in-run.ts'

/** Apache Kafka in a container. It is not started yet. @throws when no Docker engine answers */
export async function dockerBroker({ folder }: RunPlace): Promise<KafkaBroker> {
  const { container: engine } = await getContainerRuntimeClient()
  const port = await freePorts()
  let id: string | null = null
  const remove = async (): Promise<void> => {
    if (id !== null) await removeContainer(id)
    id = null
  }
  return {
    brokers: `127.0.0.1:${port}`,
    start: async () => {
      if (id !== null) {
        await engine.start(engine.getById(id))
        return
      }
      const started = await new GenericContainer(`apache/kafka:${kafkaVersion}`)
        .withExposedPorts({ container: 9092, host: port })
        .withEnvironment(environment(port))
        .withWaitStrategy(Wait.forListeningPorts())
        // It outlives the process that asked first; the end of the run removes it.
        .withAutoCleanup(false)
        .start()
      id = started.getId()
      await writeFile(join(folder, 'container.id'), id)
    },
    kill: async () => {
      if (id !== null) await engine.getById(id).kill()
    },
    wipe: remove,
    stop: remove,
  }
}

/** The settings as the image takes them. */
function environment(port: number): Record<string, string> {
  const settings = nodeSettings({
    listen: 'PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093',
    advertised: `PLAINTEXT://127.0.0.1:${port}`,
    controller: '127.0.0.1:9093',
  })
  const variables = Object.entries(settings).map(([name, value]): [string, string] => [
    `KAFKA_${name.toUpperCase().replaceAll('.', '_')}`,
    String(value),
  ])
  return Object.fromEntries(variables)
}
