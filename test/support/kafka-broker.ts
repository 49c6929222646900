import { spawnSync } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { isDockerLikely } from './engine-programs.ts'
import { areKafkaJarsHere } from './kafka-jars.ts'
import type { KafkaBroker } from './kafka-settings.ts'
import { onceInRun, type RunPlace } from './once-in-run.ts'
import { waitFor } from './wait-for.ts'

// Where tests find a real broker, in this order:
//
//   1  WEIR_TEST_KAFKA_BROKERS, addresses with commas between
//   2  the image of Apache Kafka, when a Docker engine answers
//   3  Apache Kafka as a process on Java 17, from a cache or from Maven Central

const givenVariable = 'WEIR_TEST_KAFKA_BROKERS'
const servesMs = 120_000
/** Time for whoever asks first, ms: Maven may have to fetch it. */
export const sharedMs = 420_000

/** What is missing for tests against a real broker; null when they can run. */
export function missingForKafka(): string | null {
  if (process.env[givenVariable] || isDockerLikely) return null
  if (canRun('java') && (areKafkaJarsHere() || canRun('mvn'))) return null
  return `a broker needs ${givenVariable}, or Docker, or Java 17 and Maven`
}

function canRun(program: string): boolean {
  return spawnSync(program, ['-version'], { stdio: 'ignore' }).status === 0
}

/** Addresses of the broker that all test files of a run share; started for whoever asks first. */
export async function kafkaBrokers(): Promise<readonly string[]> {
  const start = async (place: RunPlace): Promise<string> => {
    const broker = await openBroker(place)
    await broker.start()
    return broker.brokers
  }
  const brokers = process.env[givenVariable] || (await onceInRun('kafka', start, sharedMs))
  return brokers.split(',')
}

/** A broker of the test's own, running, for faults. `stop` it in the end. */
export async function ownKafkaBroker(): Promise<KafkaBroker> {
  const folder = await mkdtemp(join(tmpdir(), `weir-test-${process.pid}-kafka-`))
  const broker = await openBroker({ folder, ownerPid: process.pid })
  await broker.start()
  return broker
}

/** A broker whose `start` resolves when it serves. */
async function openBroker(place: RunPlace): Promise<KafkaBroker> {
  const broker = (await dockerOrNone(place)) ?? (await openJava(place))
  return {
    ...broker,
    start: async () => {
      await broker.start()
      await waitFor('the broker to serve', async () => await isServing(broker.brokers), servesMs)
    },
  }
}

async function dockerOrNone(place: RunPlace): Promise<KafkaBroker | null> {
  if (!isDockerLikely) return null
  const { dockerBroker } = await import('./kafka-docker.ts')
  return await dockerBroker(place).catch(() => null)
}

async function openJava(place: RunPlace): Promise<KafkaBroker> {
  const { javaBroker } = await import('./kafka-java.ts')
  return await javaBroker(place)
}

/** It answers some time before its coordinator of groups has been loaded. */
async function isServing(brokers: string): Promise<boolean> {
  const retry = { retries: 3, initialRetryTime: 50 }
  const client = { brokers: brokers.split(','), logLevel: logLevel.NOTHING, retry }
  const admin = new Kafka(client).admin()
  try {
    await admin.connect()
    await admin.fetchOffsets({ groupId: 'weir-test-probe' })
    return true
  } catch {
    return false
  } finally {
    await admin.disconnect()
  }
}
