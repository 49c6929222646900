export const kafkaVersion = '4.4.0'

/** A broker that a test may break. */
export interface KafkaBroker {
  readonly brokers: string
  start(): Promise<void>
  /** Without a word, as `kill -9` does. `start` brings it back, with its data. */
  kill(): Promise<void>
  /** Removes the data of a killed broker: it starts as a new and empty Kafka. */
  wipe(): Promise<void>
  stop(): Promise<void>
}

/** How one node of Kafka is reached. */
export interface NodeAddresses {
  readonly listen: string
  readonly advertised: string
  readonly controller: string
}

/** The settings of a Kafka of one node that is broker and controller, for tests. */
export function nodeSettings({ listen, advertised, controller }: NodeAddresses) {
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    listeners: listen,
    'advertised.listeners': advertised,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.bootstrap.servers': controller,
    'auto.create.topics.enable': false,
    'offsets.topic.num.partitions': 1,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // Groups begin at once, and short sessions are allowed: tests kill their members.
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'log.cleaner.enable': false,
  }
}
