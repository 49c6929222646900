import { readAll } from '../../domain/ports/event-store.ts'
import type { Runtime } from '../runtime.ts'

/** Whether the command has written to the stream before: then it is repeated, its answer lost. */
export async function hasActed(
  { store }: Pick<Runtime, 'store'>,
  stream: string,
  commandId: string,
): Promise<boolean> {
  const events = await readAll(store, stream, 0)
  return events.some(({ id }) => id === commandId)
}
