import { accountDecider } from './account/account.ts'
import type { Account } from './account/account.ts'
import type { AccountCommand } from './account/account-commands.ts'
import type { AccountEvent } from './account/account-events.ts'
import {
  accountSnapshotVersion,
  decodeAccount,
  encodeAccount,
  eventsUntilSnapshot,
} from './account/account-snapshot.ts'
import { isAccountEvent, isJobEvent, isOperatorsEvent, isPriceBookEvent } from './catalog.ts'
import { jobDecider } from './job/job.ts'
import type { JobCommand, JobState } from './job/job.ts'
import type { JobEvent } from './job/job-events.ts'
import { operatorsDecider } from './operators/operators.ts'
import type { Operators, OperatorsCommand, OperatorsEvent } from './operators/operators.ts'
import type { Aggregate } from './pipeline/aggregate.ts'
import { CommandPipeline } from './pipeline/command-pipeline.ts'
import type { PipelinePorts } from './pipeline/command-pipeline.ts'
import { Pacer } from './pipeline/pacer.ts'
import { priceBookDecider } from './pricing/price-book.ts'
import type { PriceBook, PriceBookEvent, PublishPrice } from './pricing/price-book.ts'

export const jobAggregate: Aggregate<JobState, JobCommand, JobEvent> = {
  category: 'job',
  isShared: false,
  begins: ({ type }) => type === 'SubmitJob',
  decider: jobDecider,
  owns: isJobEvent,
  snapshot: null,
}

export const accountAggregate: Aggregate<Account, AccountCommand, AccountEvent> = {
  category: 'account',
  isShared: true,
  begins: ({ type }) => type === 'OpenAccount',
  decider: accountDecider,
  owns: isAccountEvent,
  snapshot: {
    version: accountSnapshotVersion,
    eventsUntil: eventsUntilSnapshot,
    encode: encodeAccount,
    decode: decodeAccount,
  },
}

export const priceBookAggregate: Aggregate<PriceBook, PublishPrice, PriceBookEvent> = {
  category: 'price-book',
  isShared: false,
  begins: () => false,
  decider: priceBookDecider,
  owns: isPriceBookEvent,
  snapshot: null,
}

export const operatorsAggregate: Aggregate<Operators, OperatorsCommand, OperatorsEvent> = {
  category: 'operators',
  isShared: false,
  begins: () => false,
  decider: operatorsDecider,
  owns: isOperatorsEvent,
  snapshot: null,
}

/** One pipeline per aggregate: what every role needs to issue commands. */
export type Pipelines = {
  readonly jobs: CommandPipeline<JobState, JobCommand, JobEvent>
  readonly accounts: CommandPipeline<Account, AccountCommand, AccountEvent>
  readonly priceBook: CommandPipeline<PriceBook, PublishPrice, PriceBookEvent>
  readonly operators: CommandPipeline<Operators, OperatorsCommand, OperatorsEvent>
}

export function openPipelines(ports: PipelinePorts): Pipelines {
  const pacer = new Pacer(ports.clock)
  return {
    jobs: new CommandPipeline(jobAggregate, ports, pacer),
    accounts: new CommandPipeline(accountAggregate, ports, pacer),
    priceBook: new CommandPipeline(priceBookAggregate, ports, pacer),
    operators: new CommandPipeline(operatorsAggregate, ports, pacer),
  }
}
