import type { JobSpec } from '../domain/job/job-events.ts'
import type { ObjectStore } from '../domain/ports/object-store.ts'

/**
 * What the customer asked for; a large input is an object beside the log.
 *
 * @throws ObjectMissing, ObjectStoreUnavailable
 */
export async function jobInput(objects: ObjectStore, spec: JobSpec): Promise<unknown> {
  const { input, inputKey } = spec
  if (inputKey === null) return input
  const chunks: Uint8Array[] = []
  const { body } = await objects.get(inputKey)
  for await (const chunk of body) chunks.push(chunk)
  const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  return parsed
}
