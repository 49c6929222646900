/**
 * Told when an event does not follow the revision that the row has seen. It must never happen;
 * when it does, the read model is wrong and must be rebuilt, and somebody must know.
 */
export type HoleAlarm = (hole: {
  readonly projection: string
  readonly stream: string
  readonly seen: number
  readonly got: number
}) => void

/** `new` is the next revision, `seen` one that the row already holds. */
export function follows(
  alarm: HoleAlarm,
  projection: string,
  event: { readonly stream: string; readonly revision: number },
  seen: number,
): 'new' | 'seen' {
  if (event.revision <= seen) return 'seen'
  if (event.revision > seen + 1) {
    alarm({ projection, stream: event.stream, seen, got: event.revision })
  }
  return 'new'
}
