import { Controller, Get, Inject, Req } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'
import { DomainError } from '../../domain/errors.ts'
import { isoTime } from '../../domain/ports/clock.ts'
import { formatPico, storedAmount } from '../../domain/pricing/money.ts'
import { priceBookStream, versionAt } from '../../domain/pricing/price-book.ts'
import { readDevFile } from '../supervisor/dev-file.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { NeedsScope, Public } from './access.ts'
import { signClientToken } from './credentials.ts'

const pageTokenMs = 3_600_000
const loopback = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1'])
const localNames = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/
/** What proxies add: then it is not the browser that is on this machine. */
const proxyHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']

/** What weir tells of itself. */
@Controller()
export class MetaController {
  readonly #runtime: Runtime
  /** The look at the database that is under way: anybody may ask, as often as they like. */
  #checking: Promise<void> | null = null

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  @Get('healthz')
  @Public()
  health(): { status: string } {
    return { status: 'ok' }
  }

  @Get('readyz')
  @Public()
  async ready(): Promise<{ status: string }> {
    const ended = (): void => void (this.#checking = null)
    await (this.#checking ??= this.#runtime.checkReady().finally(ended))
    return { status: 'ready' }
  }

  @Get('v1/job-types')
  @NeedsScope('jobs:read')
  async jobTypes(): Promise<unknown> {
    const { pipelines, clock, jobTypes } = this.#runtime
    const { state } = await pipelines.priceBook.load(priceBookStream)
    const prices = versionAt(state, isoTime(clock.now()))?.prices ?? []
    const items = [...jobTypes.values()].map((jobType) => ({
      type: jobType.type,
      title: jobType.title,
      description: jobType.description,
      inputSchema: jobType.inputSchema,
      attemptsMax: jobType.maxAttempts,
      prices: prices
        .filter(({ provider }) => jobType.providers.includes(provider))
        .map(({ provider, model, unit, pricePicoCredits }) => ({
          ...{ provider, model, unit },
          priceCredits: formatPico(storedAmount(pricePicoCredits)),
        })),
    }))
    return { items, nextCursor: null }
  }

  /**
   * A short-lived token for the page at `/`, so that the first look needs no key. Only for a
   * browser on this very machine that calls weir by a local name, and never in production.
   */
  @Get('v1/dev/session')
  @Public()
  devSession(@Req() request: FastifyRequest): unknown {
    const { config, clock, secretKey } = this.#runtime
    const isLocal = loopback.has(request.ip) && areLocal(request, config.publicUrl)
    const dev = isLocal && !config.isProduction ? readDevFile(config.home) : undefined
    if (!dev) throw new DomainError('not_found', 'There is no such route.')
    const { orgId } = dev
    const expiresAt = clock.now() + pageTokenMs
    const scopes = ['jobs:write', 'jobs:read', 'billing:read'] as const
    const claims = { orgId, userId: null, channels: null, scopes, expiresAt }
    return { token: signClientToken(claims, secretKey), orgId, expiresAt: isoTime(expiresAt) }
  }
}

/** A proxy on this machine may call weir by a local name, on behalf of anybody. */
function areLocal({ headers }: FastifyRequest, publicUrl: string): boolean {
  const names = [headers.host ?? '', new URL(publicUrl).host]
  return names.every((name) => localNames.test(name)) && !proxyHeaders.some((it) => it in headers)
}
