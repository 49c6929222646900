import type { Pipelines } from '../../domain/aggregates.ts'
import { SystemIds } from '../../infra/system/ids.ts'
import { readConfig } from '../../src/config.ts'
import { profileOpener } from '../../src/profiles/open.ts'
import { unwatched } from '../../src/profiles/profile.ts'
import type { Weir } from './weir.ts'

/**
 * Issues commands on the log of a running weir, as another process of it would: for what no route
 * of the api does.
 */
export async function withPipelines<T>(
  { toolEnvironment }: Weir,
  use: (pipelines: Pipelines) => Promise<T>,
): Promise<T> {
  const config = readConfig(toolEnvironment)
  const open = await profileOpener(config)
  const profile = open(config, 'test', unwatched)
  try {
    return await use(profile.pipelines)
  } finally {
    await profile.close()
  }
}

/** The context of a command that a test issues on an org. */
export function testContext(orgId: string) {
  const commandId = new SystemIds().next()
  return { commandId, orgId, actor: 'test', correlationId: commandId, traceparent: null }
}
