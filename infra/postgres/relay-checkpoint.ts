import type pg from 'pg'
import {
  RelayCheckpoint,
  type RelayClaim,
  type RelayLease,
  type RelayMove,
  type RelayStand,
} from '../../domain/ports/relay-checkpoint.ts'
import { expiryAfter } from './expiry.ts'

const standStatement = `SELECT position, mark FROM relay_checkpoint WHERE name = 'events'`

// $1 owner, $2 lease in ms
const acquireStatement = `
  UPDATE relay_checkpoint SET owner = $1, epoch = epoch + 1, expires_at = ${expiryAfter('$2')}
  WHERE name = 'events' AND expires_at <= statement_timestamp()
  RETURNING epoch::int, position, mark`

// $1 epoch, $2 from, $3 to, $4 mark, $5 lease in ms
const moveStatement = `
  UPDATE relay_checkpoint SET position = $3, mark = $4, expires_at = ${expiryAfter('$5')}
  WHERE name = 'events' AND epoch = $1 AND position IS NOT DISTINCT FROM $2`

// $1 epoch
const releaseStatement = `
  UPDATE relay_checkpoint SET owner = NULL, expires_at = '-infinity'
  WHERE name = 'events' AND epoch = $1`

/** The relay's checkpoint in a row of its own. */
export class PostgresRelayCheckpoint extends RelayCheckpoint {
  readonly #pool: pg.Pool

  constructor(pool: pg.Pool) {
    super()
    this.#pool = pool
  }

  override async acquire({ owner, leaseMs }: RelayClaim): Promise<RelayLease | null> {
    const { rows } = await this.#pool.query<RelayStand & { epoch: number }>({
      name: 'relay-acquire',
      text: acquireStatement,
      values: [owner, leaseMs],
    })
    const row = rows[0]
    if (!row) return null
    return { epoch: row.epoch, stand: { position: row.position, mark: row.mark } }
  }

  override async move({ epoch, from, to, leaseMs }: RelayMove): Promise<boolean> {
    const { rowCount } = await this.#pool.query({
      name: 'relay-move',
      text: moveStatement,
      values: [epoch, from, to.position, to.mark, leaseMs],
    })
    return rowCount === 1
  }

  override async release(epoch: number): Promise<void> {
    await this.#pool.query({ name: 'relay-release', text: releaseStatement, values: [epoch] })
  }

  override async stand(): Promise<RelayStand> {
    const { rows } = await this.#pool.query<RelayStand>({
      name: 'relay-stand',
      text: standStatement,
    })
    return rows[0] ?? { position: null, mark: null }
  }
}
