import { Announcer } from '../../domain/ports/announcements.ts'
import type { MemoryBus } from './bus.ts'

/** Announces within one process. */
export class MemoryAnnouncer extends Announcer {
  readonly #bus: MemoryBus

  constructor(bus: MemoryBus) {
    super()
    this.#bus = bus
  }

  override async announce(jobTypes: readonly string[]): Promise<void> {
    for (const jobType of new Set(jobTypes)) this.#bus.send('announcements', jobType)
  }
}
