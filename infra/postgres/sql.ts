import { TypeOverrides } from 'pg'
import type pg from 'pg'

const timestamptzOid = 1184

/** `2026-11-23 11:05:43.1+00` → `2026-11-23T11:05:43.100Z`; the session's zone is UTC. */
function isoTime(text: string): string {
  const [date = '', clock = ''] = text.split(' ')
  const [seconds = '', fraction = ''] = clock.replace(/\+00$/, '').split('.')
  return `${date}T${seconds}.${fraction.padEnd(3, '0').slice(0, 3)}Z`
}

const types = new TypeOverrides()
types.setTypeParser(timestamptzOid, isoTime)

/** Statements on the read models, prepared by name. */
export function sqlOver(pool: pg.Pool) {
  return async <Row>(name: string, text: string, values: readonly unknown[]): Promise<Row[]> => {
    const { rows } = await pool.query({ name, text, values: [...values], types })
    return rows as Row[]
  }
}
