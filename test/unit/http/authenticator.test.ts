import { expect, test } from '@jest/globals'
import { accountStream } from '../../../domain/account/account.ts'
import { openPipelines } from '../../../domain/aggregates.ts'
import { isoTime } from '../../../domain/ports/clock.ts'
import { MemoryBus } from '../../../infra/memory/bus.ts'
import { MemoryEventLog } from '../../../infra/memory/event-log.ts'
import { MemoryEventStore } from '../../../infra/memory/event-store.ts'
import { MemorySignals } from '../../../infra/memory/signals.ts'
import { MemorySnapshotStore } from '../../../infra/memory/snapshot-store.ts'
import { SystemIds } from '../../../infra/system/ids.ts'
import { IssueApiKey, IssueApiKeyHandler } from '../../../src/commands/issue-api-key.ts'
import { RevokeApiKey, RevokeApiKeyHandler } from '../../../src/commands/revoke-api-key.ts'
import { Authenticator } from '../../../src/http/authenticator.ts'
import type { Runtime } from '../../../src/runtime.ts'
import { AdjustedClock } from '../../support/adjusted-clock.ts'

const clock = new AdjustedClock()
const ids = new SystemIds()
const orgId = ids.next()

/** Two apis over one log; signals between them are lost. */
async function given() {
  const store = new MemoryEventStore(new MemoryEventLog())
  const metrics = { authFailed: () => undefined }
  const api = () => {
    const observer = { appended: () => undefined, conflicted: () => undefined }
    const snapshots = new MemorySnapshotStore()
    const pipelines = openPipelines({ store, snapshots, clock, ids, observer })
    const signals = new MemorySignals(new MemoryBus())
    const secretKey = new Uint8Array(32)
    const runtime = { pipelines, clock, ids, signals, metrics, secretKey }
    return runtime as unknown as Runtime
  }
  const [here, elsewhere] = [api(), api()]
  const context = () => ({
    ...{ commandId: ids.next(), orgId, actor: 'test', correlationId: 'c', traceparent: null },
  })
  const at = isoTime(clock.now())
  const open = { type: 'OpenAccount' as const, orgId, name: 'acme', overdraft: 0n, at }
  await here.pipelines.accounts.handle(accountStream(orgId), open, context())
  const issue = new IssueApiKey('key', ['jobs:read'], context())
  const { apiKey, keyId } = await new IssueApiKeyHandler(here).execute(issue)
  const handler = new RevokeApiKeyHandler(here, new Authenticator(here))
  const revoke = () => handler.execute(new RevokeApiKey(keyId, context()))
  return { apiKey, revoke, elsewhere: new Authenticator(elsewhere) }
}

/** Moves time until it is over. */
async function done(work: Promise<unknown>): Promise<void> {
  const answer = { isThere: false }
  const working = work.then(() => (answer.isThere = true))
  for (let tries = 0; tries < 20 && !answer.isThere; tries += 1) await clock.advance(100)
  await working
}

test('a revoked key is refused by other apis too once the revocation is answered', async () => {
  const { apiKey, revoke, elsewhere } = await given()
  await elsewhere.authenticate(apiKey)
  await done(revoke())
  await expect(elsewhere.authenticate(apiKey)).rejects.toThrow('unknown or was revoked')
})

test('a revoked key is not trusted for longer when the clock was set back', async () => {
  const { apiKey, revoke, elsewhere } = await given()
  await elsewhere.authenticate(apiKey)
  clock.setBack(3_600_000)
  await done(revoke())
  await expect(elsewhere.authenticate(apiKey)).rejects.toThrow('unknown or was revoked')
})
