import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dropDatabase, type ClonedDatabase } from './database.ts'
import { killWatched } from './watched-process.ts'

/**
 * Ends what test files of a run have started to share: each has a folder there, and in it the
 * number of its process group, the id of its container or the name of its database.
 */
export async function endShared(run: string): Promise<void> {
  for (const name of await readdir(run)) {
    const group = await textOf(join(run, name, 'group.pid'))
    if (group !== null) await killWatched(Number(group))
    const container = await textOf(join(run, name, 'container.id'))
    if (container !== null) await removeContainer(container)
    const database = await textOf(join(run, name, 'database.json'))
    if (database !== null) await dropDatabase(JSON.parse(database) as ClonedDatabase)
  }
  await rm(run, { recursive: true, force: true, maxRetries: 20 })
}

export async function removeContainer(id: string): Promise<void> {
  const { getContainerRuntimeClient } = await import('testcontainers')
  const { container: engine } = await getContainerRuntimeClient()
  await engine.getById(id).remove({ force: true, v: true })
}

async function textOf(file: string): Promise<string | null> {
  return await readFile(file, 'utf8').catch(() => null)
}
