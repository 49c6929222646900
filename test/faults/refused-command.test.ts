import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { runCli } from '../support/cli.ts'
import { clusterEngines, type ClusterEngines } from '../support/cluster-engines.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { sharedMs } from '../support/kafka-broker.ts'
import { Weir, weirEnvironment } from '../support/weir.ts'

let database: TestDatabase
let engines: ClusterEngines
let weir: Weir

beforeAll(async () => {
  database = await testDatabase()
  engines = await clusterEngines()
  weir = new Weir(await weirEnvironment(engines.env, database.url))
}, sharedMs)

afterAll(async () => {
  await weir.stop()
  await engines.stop()
  await database.close()
})

test('a command that S3 refuses says so in one line', async () => {
  const wrong = { WEIR_S3_SECRET_ACCESS_KEY: 'of somebody else' }
  const { code, stderr } = await runCli(weir, ['setup'], wrong)
  expect(stderr).toMatch(/^S3 refuses to look for the bucket .*403.*\n$/)
  expect(code).toBe(1)
})
