import { join } from 'node:path'
import { translate } from './translate.ts'

const sources = [
  'src/config.ts',
  'src/cluster-config.ts',
  'src/environment.ts',
  'src/supervisor',
  'domain/until-aborted.ts',
  'infra/embedded-postgres',
  'test/support/supervised-program.ts',
  'test/support/supervised-role.ts',
]

/** The launcher as plain JavaScript, so that tests can run it as a process of its own. */
export interface BuiltSupervisor {
  /** Runs `supervise` over embedded Postgres with the fixture role. */
  readonly program: string
  readonly remove: () => void
}

export function buildSupervisor(): BuiltSupervisor {
  const { folder, remove } = translate('supervisor', sources)
  return { program: join(folder, 'test/support/supervised-program.js'), remove }
}
