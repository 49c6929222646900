import pg from 'pg'
import { waitFor } from './wait-for.ts'

// Two keys of 32 bits, which the log's own locks, of one key of 64 bits, never meet.
const lockClass = 4_711

/** What has to wait at a gate: rows of a table, all of them or those that fit a condition. */
export interface GatedRows {
  readonly table: 'event' | 'job_status' | 'webhook_outbox'
  /** SQL on `new`; test code only. */
  readonly condition?: string
}

/**
 * Stops weir's writes at a chosen row, in the middle of their transaction, for as long as a test
 * wants. So a test kills a process exactly between two of its acts, and needs no luck for it.
 */
export class Gate {
  readonly #pool: pg.Pool
  readonly #holder: pg.PoolClient

  private constructor(pool: pg.Pool, holder: pg.PoolClient) {
    this.#pool = pool
    this.#holder = holder
  }

  /** Closes the gate: from now on such rows wait. One gate at a time per database. */
  static async close(databaseUrl: string, { table, condition }: GatedRows): Promise<Gate> {
    const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 })
    pool.on('error', () => undefined)
    const holder = await pool.connect()
    await holder.query('SELECT pg_advisory_lock($1, 0)', [lockClass])
    await holder.query(`
      CREATE FUNCTION weir.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM pg_advisory_xact_lock_shared(${lockClass}, 0);
        RETURN new;
      END $$;
      CREATE TRIGGER gate BEFORE INSERT ON weir.${table} FOR EACH ROW
        ${condition ? `WHEN (${condition})` : ''} EXECUTE FUNCTION weir.wait_at_gate()`)
    return new Gate(pool, holder)
  }

  /** Waits until a write stands at the gate. */
  async reached(): Promise<void> {
    await waitFor('a write at the gate', async () => (await this.#waiting()).length > 0)
  }

  /** Loses what stands at the gate: its connections end, and its transactions with them. */
  async lose(): Promise<void> {
    const pids = await this.#waiting()
    await this.#pool.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [pids])
    const isLost = async (): Promise<boolean> => {
      const left = await this.#waiting()
      return !left.some((pid) => pids.includes(pid))
    }
    await waitFor('the writes to be lost', isLost)
  }

  /** Lets everything pass, also what stands there for a process that is dead. */
  async open(): Promise<void> {
    await this.#holder.query('SELECT pg_advisory_unlock_all()')
    // Waits for the transactions that are passing.
    await this.#holder.query('DROP FUNCTION weir.wait_at_gate() CASCADE')
    this.#holder.release()
    await this.#pool.end()
  }

  async #waiting(): Promise<readonly number[]> {
    const { rows } = await this.#pool.query<{ pid: number }>(
      `SELECT pid FROM pg_locks
       WHERE locktype = 'advisory' AND classid = $1 AND objsubid = 2 AND NOT granted`,
      [lockClass],
    )
    return rows.map(({ pid }) => pid)
  }
}
