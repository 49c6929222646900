import { existsSync } from 'node:fs'
import { kafkaJars } from './kafka-jars.ts'
import { versitygwProgram } from './versitygw.ts'

/** Then engines come as containers; whether one really answers is asked when one is started. */
export const isDockerLikely = 'DOCKER_HOST' in process.env || existsSync('/var/run/docker.sock')

/**
 * Fetches and builds the engines of tests where they are not here yet, which takes minutes once.
 * The set-up of a run may wait for that, a test may not. Why one is missing is said by whoever
 * needs it.
 */
export async function fetchEnginePrograms(): Promise<void> {
  if (isDockerLikely) return
  await Promise.allSettled([
    process.env['WEIR_TEST_S3_ENDPOINT'] ? undefined : versitygwProgram(),
    process.env['WEIR_TEST_KAFKA_BROKERS'] ? undefined : kafkaJars(),
  ])
}
