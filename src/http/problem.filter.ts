import { Catch, Inject } from '@nestjs/common'
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { EngineUnavailable } from '../../domain/ports/engine-unavailable.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { refusalOf, sendProblem } from './problem.ts'

/** Every error leaves weir as a problem document; what is ours is logged, and not told. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp()
    const request = http.getRequest<FastifyRequest>()
    const reply = http.getResponse<FastifyReply>()
    const refusal = refusalOf(error)
    const { requestId } = request.weir
    if (refusal.code === 'internal') {
      this.#runtime.log.error({ err: error, requestId }, 'request failed')
    } else if (error instanceof EngineUnavailable) {
      this.#runtime.log.warn({ err: error, requestId }, 'what weir stands on does not answer')
    }
    if (reply.sent) return
    sendProblem(refusal, request, reply)
  }
}
