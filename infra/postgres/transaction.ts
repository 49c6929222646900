import type pg from 'pg'

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
  const client = await pool.connect()
  const sent = sendTogether(client, [{ text: 'BEGIN' }, ...statements, { text: 'COMMIT' }])
  const failed = (await Promise.allSettled(sent)).find(({ status }) => status === 'rejected')
  client.release(failed !== undefined && (await isBroken(client)))
  if (failed?.status === 'rejected') throw failed.reason
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
  const client = await pool.connect()
  const [first, other] = sendTogether<R>(client, [statement, second])
  const isAnswered = Promise.allSettled([first, other])
  void isAnswered.then(async ([{ status }]) => {
    client.release(status === 'rejected' && (await isBroken(client)))
  })
  if (!first) throw new Error('nothing was sent')
  return await first
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
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    client.release()
    return result
  } catch (error) {
    client.release(await isBroken(client))
    throw error
  }
}

/** Rolls back. A connection that cannot even do that is broken: it has to leave the pool. */
function isBroken(client: pg.PoolClient): Promise<boolean> {
  return client.query('ROLLBACK').then(
    () => false,
    () => true,
  )
}
