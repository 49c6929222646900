import { Controller, Get, Header, Inject, Query, Req } from '@nestjs/common'
import type { FastifyRequest } from 'fastify'
import { ledgerCsv, listLedger } from '../queries/ledger.ts'
import { RUNTIME } from '../runtime.ts'
import type { Runtime } from '../runtime.ts'
import { NeedsScope } from './access.ts'
import { Answer } from './answer.ts'
import type { Query as QueryParams } from './paging.ts'
import { tenantOf } from './request-context.ts'

/** The books of an org: a page for programs, the whole statement for spreadsheets. */
@Controller('v1')
export class LedgerController {
  readonly #runtime: Runtime

  constructor(@Inject(RUNTIME) runtime: Runtime) {
    this.#runtime = runtime
  }

  @Get('ledger')
  @Header('vary', 'accept, origin')
  @NeedsScope('billing:read')
  async ledger(@Req() request: FastifyRequest, @Query() query: QueryParams): Promise<unknown> {
    const { sql } = this.#runtime
    const { orgId } = tenantOf(request)
    if (!(request.headers.accept ?? '').includes('text/csv')) return listLedger(sql, orgId, query)
    return new Answer(200, ledgerCsv(sql, orgId, query), {
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="ledger.csv"',
      'cache-control': 'no-store',
    })
  }
}
