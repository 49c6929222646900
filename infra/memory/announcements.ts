import { Announcements } from '../../domain/ports/announcements.ts'
import type { MemoryBus } from './bus.ts'

/** Hears announcements of the same process. */
export class MemoryAnnouncements extends Announcements {
  readonly #bus: MemoryBus

  constructor(bus: MemoryBus) {
    super()
    this.#bus = bus
  }

  override async listen(
    jobTypes: readonly string[],
    heard: () => void,
  ): Promise<() => Promise<void>> {
    const wanted = new Set(jobTypes)
    const stop = this.#bus.hear('announcements', (jobType) => {
      if (wanted.has(jobType)) heard()
    })
    return async () => stop()
  }
}
