import { MemoryBus } from '../../infra/memory/bus.ts'
import { MemorySignals } from '../../infra/memory/signals.ts'
import { signalsContract } from './signals.contract.ts'

const signals = new MemorySignals(new MemoryBus())

signalsContract(() => signals)
