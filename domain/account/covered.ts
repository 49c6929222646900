import { DomainError } from '../errors.ts'

/**
 * Refuses what the account cannot pay; what costs nothing always passes. Micro-credits.
 *
 * @throws DomainError `insufficient_credits`, with the arithmetic
 */
export function requireCovered(required: bigint, available: bigint, held: bigint): void {
  if (required === 0n || required <= available) return
  throw new DomainError(
    'insufficient_credits',
    `This needs ${required} micro-credits; ${available} are available, ${held} are held.`,
    {
      required: required.toString(),
      available: available.toString(),
      held: held.toString(),
    },
  )
}
