import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Admin, Consumer } from 'kafkajs'
import { steadyAssigner } from '../../infra/kafka/assigner.ts'
import type { KafkaConnection } from '../../infra/kafka/connection.ts'
import { SupervisedConsumer } from '../../infra/kafka/supervised-consumer.ts'
import { SystemClock } from '../../infra/system/clock.ts'
import { describeKafka } from '../support/describe-kafka.ts'
import { kafkaBrokers, sharedMs } from '../support/kafka-broker.ts'
import { openKafka } from '../support/kafka.ts'
import { waitFor } from '../support/wait-for.ts'

const groupId = 'group'
/** The broker lets a member that does not come back hold up the others for so long. */
const rebalanceMs = 3_000
/** Less than the ten seconds after which the broker gives up a member that has gone silent. */
const leaveMs = 7_000

describeKafka('a member of a group', () => {
  let brokers: readonly string[]
  let connection: KafkaConnection
  let admin: Admin
  let other: Consumer
  let letGo: () => void

  beforeAll(async () => {
    brokers = await kafkaBrokers()
  }, sharedMs)

  beforeEach(async () => {
    connection = openKafka(brokers)
    await connection.ensureTopics([connection.topics.updates])
    admin = connection.newClient().admin()
    await admin.connect()
    other = connection.newClient().consumer({
      groupId: `${connection.settings.topicPrefix}.${groupId}`,
      ...{ sessionTimeout: 30_000, rebalanceTimeout: rebalanceMs },
      partitionAssigners: [steadyAssigner],
    })
  })

  afterEach(async () => {
    letGo()
    await other.disconnect()
    await admin.disconnect()
    await connection.close()
  }, 60_000)

  const describeGroup = async () => {
    const { groups } = await admin.describeGroups([`${connection.settings.topicPrefix}.${groupId}`])
    return groups[0] ?? { state: 'none', members: [] }
  }

  /** The other takes a record and keeps it: it neither comes to a rebalance nor goes. */
  async function holdUp(): Promise<string> {
    const { topic } = connection.topics.updates
    const producer = connection.newClient().producer()
    await producer.connect()
    await producer.send({ topic, messages: [{ value: 'a' }] })
    await producer.disconnect()
    const [busy, done] = [new AbortController(), new AbortController()]
    letGo = () => done.abort()
    let memberId = ''
    other.on('consumer.group_join', ({ payload }) => void (memberId = payload.memberId))
    await other.connect()
    await other.subscribe({ topics: [topic], fromBeginning: true })
    await other.run({
      eachBatch: async () => {
        busy.abort()
        await new SystemClock().sleep(600_000, done.signal)
      },
    })
    await waitFor('the other member to be busy', () => busy.signal.aborted, 30_000)
    return memberId
  }

  test('that is ended while it joins leaves when it has joined', async () => {
    const memberId = await holdUp()
    const member = new SupervisedConsumer({
      ...{ connection, name: 'member', assigner: steadyAssigner },
      groupId: `${connection.settings.topicPrefix}.${groupId}`,
      topics: [connection.topics.updates],
      joined: () => undefined,
      received: () => undefined,
    })
    member.start()
    await waitFor('it to join', async () => (await describeGroup()).state !== 'Stable', 30_000)
    await member.stop()
    const memberIds = async () => (await describeGroup()).members.map((each) => each.memberId)
    const isGivenUp = async () => !(await memberIds()).includes(memberId)
    await waitFor('the other to be given up', isGivenUp, 30_000)
    await waitFor('it to leave', async () => (await memberIds()).length === 0, leaveMs)
    expect(await memberIds()).toEqual([])
  }, 120_000)
})
