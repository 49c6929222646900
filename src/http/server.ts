import type { NestApplicationOptions } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import type { NestFastifyApplication } from '@nestjs/platform-fastify'
import { fastify } from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppModule } from '../app.module.ts'
import { DomainError } from '../../domain/errors.ts'
import { Gateway, socketPath } from '../realtime/gateway.ts'
import { Channels } from '../realtime/channels.ts'
import type { Runtime } from '../runtime.ts'
import { Authenticator, bearerToken } from './authenticator.ts'
import { registerBodyParsers } from './body-parsers.ts'
import { corsOptions } from './cors.ts'
import { intakeOptions, limitIntake } from './intake.ts'
import { registerObjectRoutes } from './objects.ts'
import { registerPage } from './page.ts'
import { refusalOf, sendProblem } from './problem.ts'
import { isReadableQuery, unreadableQuery } from './readable-query.ts'
import { sessionOf } from './session-cookie.ts'
import { trustProxyOf } from './trusted-proxies.ts'
import { ignoreExpectations, ignoreUpgrades } from './upgrades.ts'
import { versionedUrl } from './versioned-url.ts'

const requestIdPattern = /^[\w.-]{1,128}$/
const traceparentPattern = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
/** While the api stops: how often connections that have had their answer are closed, ms. */
const closeIdleEveryMs = 50
/** Of a request whose sender went before the answer began, as nginx tells it. */
const leftStatus = 499

export type RunningServer = {
  /** Answers what is under way; what is still under way when the signal aborts is cut off. */
  readonly close: (signal: AbortSignal) => Promise<void>
}

/** Starts the api: HTTP, sockets, page. Resolves when it listens. */
export async function startServer(runtime: Runtime): Promise<RunningServer> {
  const { config } = runtime
  const instance = fastify({
    ...intakeOptions,
    trustProxy: trustProxyOf(config.trustedProxies),
    rewriteUrl: ({ url = '/', headers }) => versionedUrl(url, headers),
    routerOptions: { maxParamLength: 300 },
    // A URL that cannot be decoded never gets as far as the hooks and filters.
    frameworkErrors: (error, request, reply) => {
      begin(request, reply, runtime)
      reply.raw.once('close', () => tell(request, reply, runtime))
      void sendProblem(refusalOf(error), request, reply)
    },
  })
  prepare(instance, runtime)
  limitIntake(instance, runtime, async (request) => {
    const authenticator = app.get(Authenticator)
    const session = sessionOf(request)
    if (session !== null) return authenticator.session(session)
    return authenticator.authenticate(bearerToken(request.headers.authorization))
  })
  if (runtime.servedObjects) {
    const { servedObjects: store, clock, log } = runtime
    registerObjectRoutes(instance, { store, clock, log })
  }
  const { url: objectUrl } = await runtime.objects.signGet('page', 0)
  const objectOrigin = new URL(objectUrl).origin
  registerPage(instance, { publicUrl: config.publicUrl, objectOrigin })
  // Nest declares its options as a class and means a plain object.
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment
  const options: NestApplicationOptions = { logger: false, bodyParser: false, abortOnError: false }
  const adapter = new FastifyAdapter(instance)
  const module = AppModule.of(runtime)
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, options)
  if (config.corsOrigins.length > 0) app.enableCors(corsOptions(config.corsOrigins))
  await app.init()
  const unlisten = await app.get(Authenticator).listen()
  const channels = app.get(Channels)
  await channels.open()
  const gateway = app.get(Gateway)
  gateway.open(instance.server)
  ignoreUpgrades(instance.server, `${socketPath}/`)
  ignoreExpectations(instance.server)
  await app.listen(config.port, config.host)
  return {
    close: async (signal) => {
      signal.addEventListener('abort', () => instance.server.closeAllConnections())
      // Keep-alive connections that are idle, or become so, would hold the server open.
      const closeIdle = (): void => instance.server.closeIdleConnections()
      const stopClosing = runtime.every(closeIdleEveryMs, closeIdle)
      // Socket.IO waits for every connection of the server, and those for their channels.
      await Promise.all([gateway.close(), channels.close()])
      await unlisten()
      await app.close().finally(stopClosing)
    },
  }
}

/** What holds for every request, whoever answers it. */
function prepare(instance: FastifyInstance, runtime: Runtime): void {
  instance.decorateRequest('weir')
  registerBodyParsers(instance)
  instance.addHook('onRequest', (request, reply, done) => {
    begin(request, reply, runtime)
    done()
  })
  instance.addHook('onRequest', (request, reply, done) => {
    // Whoever goes before the end of the answer, as readers of an event stream do, is told of too.
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) tell(request, reply, runtime)
    })
    done()
  })
  instance.addHook('onRequest', (request, reply, done) => {
    // Answered here: pages have no filter for what is thrown.
    if (lacksHost(request)) void sendProblem(hostMissing(), request, reply)
    else if (isReadableQuery(request.raw.url ?? '')) done()
    else void sendProblem(unreadableQuery(), request, reply)
  })
  instance.addHook('onResponse', (request, reply, done) => {
    tell(request, reply, runtime)
    done()
  })
}

/** RFC 9112 §3.2: HTTP/1.1 names the host, HTTP/1.0 need not. */
function lacksHost({ raw, headers }: FastifyRequest): boolean {
  return raw.httpVersion === '1.1' && headers.host === undefined
}

function hostMissing(): DomainError {
  return new DomainError('invalid_request', 'A request of HTTP/1.1 has a Host header.')
}

/** The canonical line of a request, its metrics and the end of its span. */
function tell(request: FastifyRequest, reply: FastifyReply, runtime: Runtime): void {
  const { clock, log, metrics } = runtime
  const { requestId, traceparent, startedAt, principal, jobId, errorCode } = request.weir
  const user = request.weir.userId ?? (principal?.kind === 'client' ? principal.userId : null)
  const orgId = principal && 'orgId' in principal ? principal.orgId : undefined
  const apiKeyId = principal?.kind === 'key' ? principal.keyId : undefined
  const fields = {
    ...{ requestId, traceId: traceparent.slice(3, 35), orgId, apiKeyId },
    ...{ route: request.routeOptions.url, method: request.method },
    status: reply.raw.headersSent ? reply.statusCode : leftStatus,
    ...{ latencyMs: clock.now() - startedAt, jobId: jobId ?? undefined },
    userId: user ?? undefined,
    errorCode: errorCode ?? undefined,
  }
  log.info(fields, 'request')
  const { route, method, status } = fields
  metrics.answered({ route, method, status, ms: reply.elapsedTime, errorCode })
  const failure = status >= 500 ? String(status) : null
  request.weir.span?.end(failure, `${method} ${route ?? 'unknown'}`)
}

function begin(request: FastifyRequest, reply: FastifyReply, runtime: Runtime): void {
  request.weir = contextOf(request, runtime)
  void reply.header('x-request-id', request.weir.requestId)
  void reply.header('x-content-type-options', 'nosniff')
}

function contextOf(request: FastifyRequest, runtime: Runtime): FastifyRequest['weir'] {
  const { ids, clock, startSpan } = runtime
  const id = request.headers['x-request-id']
  const given = typeof id === 'string' && requestIdPattern.test(id) ? id : null
  const trace = request.headers['traceparent']
  const caller = typeof trace === 'string' && traceparentPattern.test(trace) ? trace : null
  const span = startSpan?.(request.method, { kind: 'server', traceparent: caller }) ?? null
  return {
    requestId: given ?? ids.next(),
    traceparent: span?.traceparent ?? caller ?? newTraceparent(ids),
    startedAt: clock.now(),
    span,
    principal: null,
    subjectId: ids.next(),
    jobId: null,
    userId: null,
    errorCode: null,
  }
}

function newTraceparent(ids: Runtime['ids']): string {
  const hex = Buffer.from(ids.bytes(24)).toString('hex')
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-01`
}
