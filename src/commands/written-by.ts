import type { RecordedEvent } from '../../domain/envelope.ts'
import { readAll } from '../../domain/ports/event-store.ts'
import type { Runtime } from '../runtime.ts'

/** What the command has written to the stream before: then it is repeated, its answer lost. */
export async function writtenBy(
  { store }: Pick<Runtime, 'store'>,
  stream: string,
  commandId: string,
): Promise<RecordedEvent | undefined> {
  return (await readAll(store, stream, 0)).find(({ id }) => id === commandId)
}
