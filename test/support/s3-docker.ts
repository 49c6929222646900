import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers'
import { removeContainer } from './end-shared.ts'
import type { RunPlace } from './once-in-run.ts'
import { ownAccount, type S3Server } from './s3-access.ts'

const image = 'versity/versitygw:v1.8.0'
const portInside = 7070

/** versitygw in a container. It is not started yet. @throws when no Docker engine answers */
export async function dockerServer({ folder }: RunPlace, port: number): Promise<S3Server> {
  const { container: engine } = await getContainerRuntimeClient()
  const { accessKeyId, secretAccessKey } = ownAccount
  let id: string | null = null
  return {
    access: { ...ownAccount, endpoint: `http://127.0.0.1:${port}` },
    start: async () => {
      if (id !== null) {
        await engine.start(engine.getById(id))
        return
      }
      const started = await new GenericContainer(image)
        .withCommand(['--health', '/health', '--keep-alive', '--quiet', 'posix', '/data'])
        .withEnvironment({ ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey })
        .withBindMounts([{ source: join(folder, 'data'), target: '/data' }])
        .withExposedPorts({ container: portInside, host: port })
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
    stop: async () => {
      if (id !== null) await removeContainer(id)
      id = null
    },
  }
}
