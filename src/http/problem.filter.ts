import { Catch, Inject } from '@nestjs/common'
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { loggedRefusalOf, sendProblem } from './problem.ts'

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
    const { requestId } = request.weir
    const refusal = loggedRefusalOf(error, { log: this.#runtime.log, requestId })
    if (reply.sent) return
    sendProblem(refusal, request, reply)
  }
}
