import { Inject, Injectable } from '@nestjs/common'
import { BalanceChannels } from './balance-channels.ts'
import { JobChannels } from './job-channels.ts'
import { OrgChannels } from './org-channels.ts'

/** Everything that can be watched. */
@Injectable()
export class Channels {
  readonly jobs: JobChannels
  readonly orgs: OrgChannels
  readonly balances: BalanceChannels

  constructor(
    @Inject(JobChannels) jobs: JobChannels,
    @Inject(OrgChannels) orgs: OrgChannels,
    @Inject(BalanceChannels) balances: BalanceChannels,
  ) {
    this.jobs = jobs
    this.orgs = orgs
    this.balances = balances
  }

  async open(): Promise<void> {
    await Promise.all([this.jobs.open(), this.orgs.open(), this.balances.open()])
  }

  async close(): Promise<void> {
    await Promise.all([this.jobs.close(), this.orgs.close(), this.balances.close()])
  }
}
