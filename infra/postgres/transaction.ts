import type pg from 'pg'
import { orUnavailable } from './errors.ts'

/**
 * Runs statements in a transaction of their own that is sent as a whole: one round trip, however
 * many they are. When one fails, those behind it fail too, and nothing is kept.
 *
 * @throws what the first statement that failed has thrown
 */
export async function inOneTrip(
  pool: pg.Pool,
  statements: readonly pg.QueryConfig[],
): Promise<void> {
  const client = await checkedOut(pool)
  const sent = sendTogether(client, [{ text: 'BEGIN' }, ...statements, { text: 'COMMIT' }])
  const failed = (await Promise.allSettled(sent)).find(({ status }) => status === 'rejected')
  giveBack(client, failed !== undefined && (await isBroken(client)))
  if (failed?.status === 'rejected') throw orUnavailable(failed.reason)
}

/**
 * Runs a statement, and a second one right behind it in the same round trip, each in a transaction
 * of its own. What becomes of the second one is not told.
 */
export async function queryThen<R extends pg.QueryResultRow>(
  pool: pg.Pool,
  statement: pg.QueryConfig,
  second: pg.QueryConfig,
): Promise<pg.QueryResult<R>> {
  const client = await checkedOut(pool)
  const [first, other] = sendTogether<R>(client, [statement, second])
  const isAnswered = Promise.allSettled([first, other])
  void isAnswered.then(async ([{ status }]) => {
    giveBack(client, status === 'rejected' && (await isBroken(client)))
  })
  if (!first) throw new Error('nothing was sent')
  return await first.catch((error: unknown) => {
    throw orUnavailable(error)
  })
}

/** Sends statements with one write; pools are opened so that none waits for another's answer. */
function sendTogether<R extends pg.QueryResultRow>(
  client: pg.PoolClient,
  statements: readonly pg.QueryConfig[],
): Promise<pg.QueryResult<R>>[] {
  const { stream } = client.connection
  stream.cork()
  const sent = statements.map((statement) => client.query<R>(statement))
  stream.uncork()
  return sent
}

/** Runs `work` in a transaction of its own; rolls back when it throws. */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await checkedOut(pool)
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    giveBack(client, false)
    return result
  } catch (error) {
    giveBack(client, await isBroken(client))
    throw orUnavailable(error)
  }
}

/** Rolls back. A connection that cannot even do that is broken: it has to leave the pool. */
function isBroken(client: pg.PoolClient): Promise<boolean> {
  return client.query('ROLLBACK').then(
    () => false,
    () => true,
  )
}

/** A connection that may break while it is out: its statements tell, and nothing else has to. */
async function checkedOut(pool: pg.Pool): Promise<pg.PoolClient> {
  const client = await pool.connect().catch((error: unknown) => {
    throw orUnavailable(error)
  })
  client.on('error', ignore)
  return client
}

/** One that is broken is not used again, and may still say so. */
function giveBack(client: pg.PoolClient, isBroken: boolean): void {
  if (!isBroken) client.off('error', ignore)
  client.release(isBroken)
}

function ignore(): void {
  // Without a listener the event would end the process.
}
