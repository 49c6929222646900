import { MemoryRelayCheckpoint } from '../../infra/memory/relay-checkpoint.ts'
import { relayCheckpointContract } from './relay-checkpoint.contract.ts'

relayCheckpointContract(async () => new MemoryRelayCheckpoint())
