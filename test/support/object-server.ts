import { once } from 'node:events'
import fastify, { type FastifyInstance } from 'fastify'
import { Clock } from '../../domain/ports/clock.ts'
import { registerObjectRoutes, type ServedObjectStore } from '../../src/http/objects.ts'
import type { RequestContext } from '../../src/http/request-context.ts'

/** The system's time, moved by `aheadMs`. */
export class MovableClock extends Clock {
  aheadMs = 0

  override now(): number {
    return Date.now() + this.aheadMs
  }

  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.aheadMs += signal?.aborted === true ? 0 : ms
  }
}

export type ObjectServer<Store> = {
  readonly store: Store
  readonly clock: MovableClock
  readonly baseUrl: string
  readonly server: FastifyInstance
  /** What was logged beyond `info`. */
  readonly logged: string[]
}

/** A server on a free port whose objects are those of the store that `create` makes for it. */
export async function serveObjects<Store extends ServedObjectStore>(
  create: (options: { baseUrl: string; secretKey: Buffer; clock: MovableClock }) => Store,
): Promise<ObjectServer<Store>> {
  const server = fastify()
  const clock = new MovableClock()
  server.addHook('onRequest', async (request, reply) => {
    request.weir = requestContext()
    reply.header('x-request-id', request.weir.requestId)
  })
  // The store needs the address and the routes need the store: the port is asked for first.
  const probe = server.server.listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const baseUrl = `http://127.0.0.1:${address.port}`
  const store = create({ baseUrl, secretKey: Buffer.alloc(32, 7), clock })
  const logged: string[] = []
  const keep = (_fields: unknown, message: string): void => void logged.push(message)
  const pass = (): void => undefined
  registerObjectRoutes(server, {
    store,
    clock,
    log: {
      ...{ debug: pass, info: pass, warn: keep, error: keep },
      fatal: async (fields, message) => keep(fields, message),
    },
  })
  await server.ready()
  return { store, clock, baseUrl, server, logged }
}

function requestContext(): RequestContext {
  return {
    requestId: 'request-1',
    traceparent: '',
    startedAt: 0,
    principal: null,
    subjectId: '',
    jobId: null,
    userId: null,
    errorCode: null,
    span: null,
  }
}
