import { MemoryRelayCheckpoint } from '../../infra/memory/relay-checkpoint.ts'
import { SimulatedClock } from '../../infra/simulated/clock.ts'
import { relayCheckpointContract } from './relay-checkpoint.contract.ts'

relayCheckpointContract(async () => {
  const clock = new SimulatedClock()
  return { checkpoint: new MemoryRelayCheckpoint(clock), pass: (ms) => clock.advance(ms) }
})
