/** What a span is in its trace. */
export type SpanKind = 'server' | 'client' | 'consumer' | 'internal'

/** How a span begins. Attributes hold ids and names, never payloads. */
export type SpanStart = {
  readonly kind: SpanKind
  /** W3C trace context of what caused it; null begins a trace. */
  readonly traceparent: string | null
  readonly attributes?: Readonly<Record<string, string | number>>
}

/** Something that is under way. */
export type Span = {
  /** The trace context to hand on: what follows becomes a child of this span. */
  readonly traceparent: string
  /** @param error a short code or the error's name; null when all went well */
  readonly end: (error: string | null, name?: string) => void
}

/** Begins a span. */
export type StartSpan = (name: string, start: SpanStart) => Span

/** Traces of one process. */
export type Telemetry = {
  readonly startSpan: StartSpan
  /** Sends what is left, for so long at most. */
  readonly close: (limitMs: number) => Promise<void>
}

/** Runs something within a span. The error's name is told, never its message. */
export async function within<T>(span: Span, run: () => Promise<T>): Promise<T> {
  try {
    const result = await run()
    span.end(null)
    return result
  } catch (error) {
    span.end(error instanceof Error ? error.name : 'unknown')
    throw error
  }
}
