import { fileURLToPath } from 'node:url'
import { checkDatabase } from '../../infra/embedded-postgres/check-database.ts'
import { startEmbeddedPostgres } from '../../infra/embedded-postgres/embedded-postgres.ts'
import { readConfig } from '../../src/config.ts'
import { supervise } from '../../src/supervisor/supervise.ts'

// The launcher with everything real but migrations, bootstrap and the roles themselves.

const settings = { shared_buffers: '16MB' }

process.exitCode = await supervise(readConfig(), {
  startPostgres: async ({ home }) => await startEmbeddedPostgres({ home, settings }),
  checkDatabase,
  migrate: async () => Promise.resolve(),
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
