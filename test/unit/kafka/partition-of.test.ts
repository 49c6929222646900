import { describe, expect, test } from '@jest/globals'
import { Partitioners } from 'kafkajs'
import { dividePartitions } from '../../../infra/kafka/assigner.ts'
import { partitionOf } from '../../../infra/kafka/partition-of.ts'
import { Random } from '../../simulation/random.ts'

describe('the partition of a key', () => {
  test('is the one that Kafka clients choose', () => {
    const random = new Random(1)
    const choose = Partitioners.DefaultPartitioner()
    for (let length = 0; length < 200; length += 1) {
      const letters = Array.from({ length }, () => String.fromCodePoint(random.between(1, 0x2fff)))
      const key = letters.join('')
      const partitions = random.between(1, 60)
      const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
        ...{ partitionId, partitionErrorCode: 0, leader: 1, replicas: [1], isr: [1] },
      }))
      const chosen = choose({ topic: 't', partitionMetadata, message: { key, value: null } })
      expect({ key, partition: partitionOf(key, partitions) }).toEqual({ key, partition: chosen })
    }
  })
})

describe('partitions', () => {
  const partitions = Array.from({ length: 12 }, (_, at) => at)
  const members = (count: number) => Array.from({ length: count }, (_, at) => `member-${at}-x`)

  test('are divided evenly, each to one', () => {
    for (let count = 1; count < 16; count += 1) {
      const shares = [...dividePartitions(partitions, members(count)).values()]
      expect(shares.flat().sort((a, b) => a - b)).toEqual(partitions)
      const sizes = shares.map(({ length }) => length)
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
    }
  })

  test('mostly stay where they are when a process comes or goes', () => {
    for (let count = 1; count < 6; count += 1) {
      const before = dividePartitions(partitions, members(count))
      const after = dividePartitions(partitions, members(count + 1))
      const stay = [...before].flatMap(([id, share]) =>
        share.filter((partition) => after.get(id)?.includes(partition)),
      )
      expect(stay.length).toBeGreaterThanOrEqual(partitions.length / 2)
    }
  })

  test('are divided alike, whoever divides them', () => {
    const [one, other] = [members(5), members(5).reverse()]
    const shares = dividePartitions(partitions, one)
    expect(new Map([...dividePartitions(partitions, other)].sort())).toEqual(
      new Map([...shares].sort()),
    )
  })
})
