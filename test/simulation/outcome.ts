import type { Violation } from '../../workers/invariants/violation.ts'

/** What a run was, as it comes from the simulator's thread. */
export type Outcome = {
  readonly seed: number
  readonly violations: readonly Violation[]
  /** What led to the first violation. */
  readonly trail: readonly string[]
  readonly traceHash: string
  readonly steps: number
  readonly events: number
  /** How often each type of event was written: what the run has really met. */
  readonly written: ReadonlyMap<string, number>
  readonly accepted: number
}

/** What a failure says: enough to run it again, and what came before. */
export function describe({ seed, violations, trail }: Outcome): string {
  const told = violations.slice(0, 5).map((one) => `${one.invariant} ${one.subject}: ${one.detail}`)
  return [`SEED=${seed} fails:`, ...told, 'after', ...trail].join('\n  ')
}
