import { keyOf } from '../domain/ports/read-model-store.ts'
import type { ReadModelSnapshot, Row, Table } from '../domain/ports/read-model-store.ts'

const pageRowsMax = 1_000

/** All rows of a table at the moment of the snapshot, in the byte order of their keys. */
export async function* rowsOf(
  { scan }: ReadModelSnapshot,
  table: Table,
): AsyncGenerator<Row, void> {
  for (let after: string | null = null; ;) {
    const page: readonly Row[] = await scan(table, after, pageRowsMax)
    yield* page
    const last = page.at(-1)
    if (!last || page.length < pageRowsMax) return
    after = keyOf(table, last)
  }
}
