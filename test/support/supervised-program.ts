import { fileURLToPath } from 'node:url'
import { checkDatabase } from '../../infra/embedded-postgres/check-database.ts'
import { startEmbeddedPostgres } from '../../infra/embedded-postgres/embedded-postgres.ts'
import { readConfig } from '../../src/config.ts'
import { supervise } from '../../src/supervisor/supervise.ts'

// The launcher with everything real but migrations, bootstrap and the roles themselves.

const settings = { shared_buffers: '16MB' }

process.exitCode = await supervise(readConfig(), {
  startPostgres: async (options) => await startEmbeddedPostgres({ ...options, settings }),
  checkDatabase,
  migrate: async () => {
    if (process.env['WEIR_TEST_MIGRATES'] !== 'for ever') return
    process.stdout.write('Migrating.\n')
    await new Promise(() => undefined)
  },
  bootstrap: async ({ devFile }) =>
    Promise.resolve(
      devFile
        ? undefined
        : {
            baseUrl: 'http://example.test',
            apiKey: 'weir_live_fixture',
            orgId: 'org',
            webhookSecret: 'whsec_fixture',
            adminUrl: 'http://example.test/admin',
            adminEmail: 'owner@example.test',
            adminPassword: 'password',
            adminToken: 'weir_admin_fixture',
          },
    ),
  roleProgram: fileURLToPath(new URL('./supervised-role.js', import.meta.url)),
})
