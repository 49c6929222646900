import type { Json } from '../json.ts'

/** A folded state at a revision, so that a long stream need not be read from its beginning. */
export type Snapshot = { readonly revision: number; readonly state: Json }

/** A cache: losing it costs time, never correctness. */
export abstract class SnapshotStore {
  /** The newest snapshot of that stream and that version of the state's shape. */
  abstract load(stream: string, version: number): Promise<Snapshot | null>

  /** Keeps the snapshot unless a newer one is there. */
  abstract save(stream: string, version: number, snapshot: Snapshot): Promise<void>
}
