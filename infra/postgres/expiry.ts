/**
 * When a lease ends that begins now: SQL over a parameter in ms, by the database's clock, which is
 * one for all machines. Of its times this is the statement's: an index can be asked for it, and
 * who counts from the question never believes to hold a lease that is over.
 */
export function expiryAfter(leaseMs: `$${number}`): string {
  return `statement_timestamp() + ${leaseMs}::float8 * interval '1 ms'`
}
