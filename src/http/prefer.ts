import type { FastifyRequest } from 'fastify'
import { invalid } from '../../domain/errors.ts'

export const waitSecondsMax = 60

/** `Prefer: wait=N` (RFC 7240) in ms; null when it is not asked for. */
export function preferredWaitMs(request: FastifyRequest): number | null {
  const header = request.headers['prefer']
  if (header === undefined) return null
  const match = /(?:^|[,;\s])wait="?(\d+)"?(?:$|[,;\s])/i.exec(String(header))
  if (!match) return null
  const seconds = Number(match[1])
  if (seconds > waitSecondsMax) {
    const detail = `wait is at most ${waitSecondsMax} seconds`
    throw invalid('invalid_request', [{ pointer: 'Prefer', detail }])
  }
  return seconds * 1000
}
