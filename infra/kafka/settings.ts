/** How Kafka is reached, and how topics are made that are not there yet. */
export type KafkaSettings = {
  /** `host:port` of some of the brokers; they tell of the others. */
  readonly brokers: readonly string[]
  /** Names the process to the brokers. */
  readonly clientId: string
  /** `true` trusts what the system trusts; certificates and key are PEM texts. */
  readonly ssl: boolean | { readonly ca?: string; readonly cert?: string; readonly key?: string }
  readonly sasl: KafkaLogin | null
  /** First part of the names of topics and groups. */
  readonly topicPrefix: string
  /** Of `<prefix>.events`: as many processes can share a consumer's work. */
  readonly partitions: number
  /** Copies of each partition; -1 leaves it to the brokers. */
  readonly replication: number
  /** How long `<prefix>.events` keeps events; older ones are read from the event store. */
  readonly retentionMs: number
}

export type KafkaLogin = {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

/** A topic, and how it is made. */
export type TopicPlan = {
  readonly topic: string
  readonly partitions: number
  readonly replication: number
  readonly retentionMs: number
}

/** Whoever was away for longer looks at the queue, or reads the log. */
const hintsKeptMs = 600_000
/** Time to look at what could not be read. */
const deadLettersKeptMs = 30 * 86_400_000

/** The topics of weir. */
export type KafkaTopics = {
  readonly events: TopicPlan
  readonly updates: TopicPlan
  readonly deadLetters: TopicPlan
  readonly jobs: (jobType: string) => TopicPlan
}

export function kafkaTopics(settings: KafkaSettings): KafkaTopics {
  const { topicPrefix, partitions, replication, retentionMs } = settings
  // Everybody hears every hint, in its order: more than one partition would be of no use.
  const single = (name: string, keptMs: number): TopicPlan => ({
    ...{ topic: `${topicPrefix}.${name}`, partitions: 1, replication, retentionMs: keptMs },
  })
  return {
    events: { topic: `${topicPrefix}.events`, partitions, replication, retentionMs },
    updates: single('updates', hintsKeptMs),
    deadLetters: single('dead-letters', deadLettersKeptMs),
    jobs: (jobType) => single(`jobs.${jobType}`, hintsKeptMs),
  }
}
