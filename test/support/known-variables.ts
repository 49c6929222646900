import { readConfig } from '../../src/config.ts'

const smallestCluster = {
  WEIR_PROFILE: 'cluster',
  WEIR_EVENTSTOREDB_URL: 'esdb://localhost:2113',
  WEIR_KAFKA_BROKERS: 'localhost:9092',
  WEIR_S3_BUCKET: 'weir',
}

/** The environment variables that the configuration looks at, found by watching it. */
export function knownVariables(): ReadonlySet<string> {
  const known = new Set<string>()
  const watched = new Proxy<Record<string, string | undefined>>(smallestCluster, {
    get: (environment, name) => {
      if (typeof name === 'string') known.add(name)
      return environment[String(name)]
    },
  })
  readConfig(watched)
  return known
}
