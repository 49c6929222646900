/** Something that runs until it is told to stop, at its own pace. */
export type Loop = {
  readonly name: string
  readonly start: () => void
  /** Finishes or gives back what it has; when the signal aborts, at once. */
  readonly stop: (signal: AbortSignal) => Promise<void>
}

/** What a loop tells of itself; the role turns it into log lines and metrics. */
export type LoopReport = (
  level: 'info' | 'warn' | 'error',
  fields: Readonly<Record<string, unknown>>,
  message: string,
) => void
