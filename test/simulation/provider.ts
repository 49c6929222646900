import type { CallOutcome } from '../../workers/handlers/handler.ts'

/** Somebody else's service: the same idempotency key is the same call, and is paid once. */
export class SimulatedProvider {
  readonly delivered = new Set<string>()

  async call(idempotencyKey: string): Promise<CallOutcome<string>> {
    this.delivered.add(idempotencyKey)
    return { value: idempotencyKey.slice(0, 8), units: { requests: '1' } }
  }
}
