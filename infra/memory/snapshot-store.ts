import type { Json } from '../../domain/json.ts'
import { type Snapshot, SnapshotStore } from '../../domain/ports/snapshot-store.ts'

/** Snapshots of one process, kept as text so that nobody shares their state. */
export class MemorySnapshotStore extends SnapshotStore {
  readonly #snapshots = new Map<string, { revision: number; state: string }>()

  override async load(stream: string, version: number): Promise<Snapshot | null> {
    const kept = this.#snapshots.get(`${version} ${stream}`)
    return kept ? { revision: kept.revision, state: JSON.parse(kept.state) as Json } : null
  }

  override async save(stream: string, version: number, snapshot: Snapshot): Promise<void> {
    const key = `${version} ${stream}`
    if ((this.#snapshots.get(key)?.revision ?? -1) >= snapshot.revision) return
    const state = JSON.stringify(snapshot.state)
    this.#snapshots.set(key, { revision: snapshot.revision, state })
  }
}
