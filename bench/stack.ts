import type { Running } from './processes.ts'

/** One tenant of a stack, with its credential and enough credits for every run. */
export interface Org {
  readonly orgId: string
  readonly token: string
}

export interface Balance {
  readonly availableMicro: bigint
  readonly heldMicro: bigint
}

export type JobSignal = {
  readonly jobId: string
  readonly kind: JobSignalKind
  /** When it happened, ms since the epoch, if the stack tells. */
  readonly atMs?: number
}
export type JobSignalKind = 'started' | 'succeeded' | 'failed'

/** A running installation of weir or of a peer, seen through what both have in common. */
export interface Stack {
  readonly name: string
  readonly baseUrl: string
  readonly orgs: readonly Org[]
  readonly paths: { readonly submit: string; readonly batch: string; readonly balance: string }
  /** Takes a job that is not run now: what an acceptance alone costs. */
  readonly accept: { readonly path: string; readonly body: unknown }
  readonly socketPath: string
  /** What one pushed `update` says about a job; null when it says nothing that is measured. */
  readonly readUpdate: (update: unknown) => JobSignal | null
  readonly databaseUrl: string
  /** The processes whose CPU time counts, each the root of a tree. */
  readonly processes: readonly Running[]
  /** Name in the table for a process title; null for the name of the parent. */
  readonly label: (title: string) => string | null
}

export interface StackFactory {
  readonly name: string
  /** Starts a fresh installation below `folder` with `orgCount` funded orgs. */
  readonly start: (folder: string, orgCount: number) => Promise<Stack>
}

export const jobBody = { type: 'sandbox.run', input: { steps: 1, stepMs: 0 } }
export const jobPriceMicro = 10_000n
export const grantMicro = 1_000_000_000_000n
