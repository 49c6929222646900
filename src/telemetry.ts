import { setTimeout as sleep } from 'node:timers/promises'
import * as api from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import type { SpanKind, Telemetry } from './telemetry/telemetry.ts'

/** Longest wait of a finished span until it is sent, ms. */
const sendEveryMs = 1_000

export type TelemetryOptions = {
  readonly role: string
  readonly version: string
}

/**
 * Traces over OTLP/HTTP. Started only where `OTEL_EXPORTER_OTLP_ENDPOINT` is set: without it this
 * file is not even loaded, nor anything of OpenTelemetry. The exporter reads that and its other
 * variables itself, as the OpenTelemetry specification names them.
 */
export function openTelemetry({ role, version }: TelemetryOptions): Telemetry {
  const kinds = {
    server: api.SpanKind.SERVER,
    client: api.SpanKind.CLIENT,
    consumer: api.SpanKind.CONSUMER,
    internal: api.SpanKind.INTERNAL,
  } satisfies Record<SpanKind, unknown>
  const processor = new BatchSpanProcessor(new OTLPTraceExporter(), {
    scheduledDelayMillis: sendEveryMs,
  })
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({
      'service.name': `weir-${role}`,
      'service.namespace': 'weir',
      'service.version': version,
    }),
    spanProcessors: [processor],
  })
  const tracer = provider.getTracer('weir', version)
  return {
    startSpan: (name, { kind, traceparent, attributes = {} }) => {
      const parent = parseTraceparent(traceparent)
      const root = api.ROOT_CONTEXT
      const context = parent ? api.trace.setSpanContext(root, parent) : root
      const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, context)
      return {
        traceparent: formatTraceparent(span.spanContext()),
        end: (error, newName) => {
          if (newName !== undefined) span.updateName(newName)
          if (error !== null) {
            span.setAttribute('error.type', error)
            span.setStatus({ code: api.SpanStatusCode.ERROR })
          }
          span.end()
        },
      }
    },
    close: async (limitMs) => {
      // A collector that is away must not hold up the end.
      const sent = provider.shutdown().catch(() => undefined)
      await Promise.race([sent, sleep(limitMs, undefined, { ref: false })])
    },
  }
}

type SpanContext = {
  readonly traceId: string
  readonly spanId: string
  readonly traceFlags: number
}

function parseTraceparent(traceparent: string | null) {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent ?? '')
  const [, traceId, spanId, flags] = match ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return null
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
}

function formatTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}
