import type pg from 'pg'
import type { Json } from '../../domain/json.ts'
import { type Snapshot, SnapshotStore } from '../../domain/ports/snapshot-store.ts'

type SnapshotRow = { readonly revision: number; readonly state: string }

/** Snapshots in one table, one row per stream and version. */
export class PostgresSnapshotStore extends SnapshotStore {
  readonly #pool: pg.Pool

  constructor(pool: pg.Pool) {
    super()
    this.#pool = pool
  }

  override async load(stream: string, version: number): Promise<Snapshot | null> {
    const { rows } = await this.#pool.query<SnapshotRow>({
      name: 'load_snapshot',
      text: 'SELECT revision, state FROM snapshot WHERE stream = $1 AND version = $2',
      values: [stream, version],
    })
    const row = rows[0]
    return row ? { revision: row.revision, state: JSON.parse(row.state) as Json } : null
  }

  override async save(stream: string, version: number, snapshot: Snapshot): Promise<void> {
    await this.#pool.query({
      name: 'save_snapshot',
      text: `
        INSERT INTO snapshot AS s (stream, version, revision, state) VALUES ($1, $2, $3, $4)
        ON CONFLICT (stream, version) DO UPDATE
          SET revision = excluded.revision, state = excluded.state
          WHERE s.revision < excluded.revision`,
      values: [stream, version, snapshot.revision, JSON.stringify(snapshot.state)],
    })
  }
}
