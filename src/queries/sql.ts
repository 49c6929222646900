/**
 * Runs one statement on the read models and gives its rows. Columns are named as the query names
 * them; times come as ISO 8601 with milliseconds, numerics as strings.
 */
export type Sql = <Row>(name: string, text: string, values: readonly unknown[]) => Promise<Row[]>
