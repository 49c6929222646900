import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { buildWeir } from './build.ts'
import { databaseUrl, templateVariable, urlVariable } from './database.ts'
import { fetchEnginePrograms } from './engine-programs.ts'
import { runFolderVariable, runPidVariable } from './run-folder.ts'
import { startTestServer, type TestServer } from './test-server.ts'

const migrateFile = new URL('../../infra/postgres/migrate.ts', import.meta.url)

/** Jest keeps the module registry of set-up and teardown apart; what both need lives here. */
export interface TestRun {
  readonly server?: TestServer
  readonly serverUrl: string
  readonly template: string
  /** For what test files share and whoever asks first starts. */
  readonly folder: string
}

/** What Jest says of the run, as far as it is looked at here. */
interface GlobalConfig {
  readonly testPathPatterns: { readonly patterns: readonly string[] }
}

/** False when only test files were chosen that do not start the compiled program. */
function needsWeir({ testPathPatterns: { patterns } }: GlobalConfig): boolean {
  return patterns.length === 0 || !patterns.every((each) => /contracts|integration/.test(each))
}

/** True when test files may be among those chosen that run on the cluster profile. */
function needsEngines({ testPathPatterns: { patterns } }: GlobalConfig): boolean {
  return patterns.length === 0 || patterns.some((each) => /cluster|e2e/.test(each))
}

/**
 * One Postgres for the whole run (`DATABASE_URL`, or an embedded one) and in it one migrated
 * database, from which every test file gets a clone.
 */
export default async function globalSetup(run: GlobalConfig): Promise<void> {
  if (needsWeir(run)) buildWeir()
  if (needsEngines(run)) await fetchEnginePrograms()
  const given = process.env['DATABASE_URL']
  const server = given ? undefined : await startTestServer()
  const serverUrl = given ?? server?.url ?? ''
  try {
    const template = await createTemplate(serverUrl)
    const folder = mkdtempSync(join(tmpdir(), `weir-test-${process.pid}-run-`))
    process.env[urlVariable] = serverUrl
    process.env[templateVariable] = template
    process.env[runFolderVariable] = folder
    process.env[runPidVariable] = String(process.pid)
    Object.assign(globalThis, { weirTestRun: { server, serverUrl, template, folder } })
  } catch (error) {
    await server?.stop()
    throw error
  }
}

async function createTemplate(serverUrl: string): Promise<string> {
  const name = `weir_template_${process.pid}`
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    await client.query(`CREATE DATABASE ${name} TEMPLATE template0`)
  } finally {
    await client.end()
  }
  await migrate(databaseUrl(serverUrl, name))
  return name
}

async function migrate(url: string): Promise<void> {
  if (!existsSync(fileURLToPath(migrateFile))) return
  const module = (await import('../../infra/postgres/migrate.ts')) as {
    migrate(databaseUrl: string): Promise<unknown>
  }
  await module.migrate(url)
}
