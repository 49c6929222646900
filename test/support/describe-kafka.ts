import { describe } from '@jest/globals'
import { missingForKafka } from './kafka-broker.ts'

/** Tests against a real broker: skipped, and loudly, where there is no way to have one. */
export const describeKafka = choose(missingForKafka())

function choose(missing: string | null) {
  if (missing === null) return describe
  if (process.env['CI'] === 'true') throw new Error(`There is no Kafka for the tests: ${missing}.`)
  process.stderr.write(`\nSKIPPED, everything about Kafka: ${missing}.\n\n`)
  return describe.skip
}
