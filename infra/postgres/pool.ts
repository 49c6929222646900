import pg from 'pg'
import { orUnavailable } from './errors.ts'

/** How a pool is opened. */
export type PoolOptions = {
  /** Connections at most. */
  readonly max: number
  /** What pg_stat_activity shows, e.g. `weir-worker`. */
  readonly applicationName: string
}

const connectTimeoutMs = 10_000
const statementTimeoutMs = 30_000
/** A frozen process may hold rows that others wait for: so long, and its transaction is void. */
const idleInTransactionTimeoutMs = 20_000

/** Beyond the server's own limit: only a dead network reaches it. */
const queryTimeoutMs = statementTimeoutMs + 5_000

/**
 * A pool whose connections see the schema `weir` and give up on statements after 30 s. It survives
 * a restart of Postgres: a broken idle connection is dropped, not thrown. Statements that Postgres
 * does not answer throw `EngineUnavailable`.
 */
export function openPool(url: string, options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    ...connectionConfig(url, options.applicationName),
    max: options.max,
    query_timeout: queryTimeoutMs,
    // Statements of one connection need not wait for each other's answers (transaction.ts).
    pipeline: true,
  })
  // Without a listener the process ends when Postgres closes an idle connection (57P01).
  pool.on('error', () => undefined)
  pool.query = tellingWhenAway(pool.query.bind(pool))
  return pool
}

/** The same, but throws `EngineUnavailable` when Postgres does not answer. */
function tellingWhenAway(query: pg.Pool['query']): pg.Pool['query'] {
  const asked = async (config: pg.QueryConfig, values?: unknown[]): Promise<pg.QueryResult> => {
    try {
      return await query(config, values)
    } catch (error) {
      throw orUnavailable(error)
    }
  }
  return asked as pg.Pool['query']
}

/** What every connection of weir has in common. */
export function connectionConfig(url: string, applicationName: string): pg.ClientConfig {
  const target = new URL(url)
  const settings = [
    // `options` of the URL would replace ours, so both are sent.
    target.searchParams.get('options') ?? '',
    '-c search_path=weir',
    '-c timezone=UTC',
    `-c statement_timeout=${statementTimeoutMs}`,
    `-c idle_in_transaction_session_timeout=${idleInTransactionTimeoutMs}`,
    // Our statements are short; compiling them costs more than it gives.
    '-c jit=off',
    // A plan is kept, and tables that were empty when it was made fill up within seconds: rows are
    // found by an index wherever there is one. Loading 200 rows of 10,000 took 0.2 s without it,
    // and a list of jobs more than 30 s.
    '-c enable_seqscan=off',
  ]
  target.searchParams.delete('options')
  return {
    connectionString: target.href,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    options: settings.join(' ').trim(),
  }
}
