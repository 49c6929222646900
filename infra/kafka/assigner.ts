import { AssignerProtocol, type PartitionAssigner } from 'kafkajs'
import { hashOf } from './partition-of.ts'

const name = 'weir'
const version = 1
const userData = Buffer.alloc(0)

/**
 * Divides partitions evenly, and so that most stay where they are when a process comes or goes:
 * whoever takes a partition over loads what its last owner had in memory.
 */
export const steadyAssigner: PartitionAssigner = ({ cluster }) => ({
  name,
  version,
  assign: async ({ members, topics }) => {
    const memberIds = members.map(({ memberId }) => memberId)
    const shares = new Map(memberIds.map((id) => [id, new Map<string, number[]>()]))
    for (const topic of topics) {
      const partitions = cluster
        .findTopicPartitionMetadata(topic)
        .map(({ partitionId }) => partitionId)
      for (const [memberId, share] of dividePartitions(partitions, memberIds)) {
        shares.get(memberId)?.set(topic, share)
      }
    }
    return [...shares].map(([memberId, share]) => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({
        ...{ version, userData },
        assignment: Object.fromEntries(share),
      }),
    }))
  },
  protocol: ({ topics }) => ({
    name,
    metadata: AssignerProtocol.MemberMetadata.encode({ version, topics, userData }),
  }),
})

/** Each partition goes to whom chance would have it, of those whose share is not full. */
export function dividePartitions(
  partitions: readonly number[],
  memberIds: readonly string[],
): ReadonlyMap<string, number[]> {
  const shares = new Map(memberIds.map((id): [string, number[]] => [id, []]))
  const least = Math.floor(partitions.length / memberIds.length)
  let larger = partitions.length % memberIds.length
  for (const partition of [...partitions].sort((a, b) => a - b)) {
    const byChance = [...shares].sort(
      ([a], [b]) => hashOf(`${b}/${partition}`) - hashOf(`${a}/${partition}`),
    )
    const share = byChance.find(([, { length }]) => length < least + Math.sign(larger))?.[1]
    if (share?.push(partition) === least + 1) larger -= 1
  }
  return shares
}
