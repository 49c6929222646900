import { Announcements } from '../../domain/ports/announcements.ts'
import { announcementChannel } from './channels.ts'
import type { PostgresListener } from './listener.ts'

/** Hears announcements over the LISTEN connection of the process. */
export class PostgresAnnouncements extends Announcements {
  readonly #listener: PostgresListener

  constructor(listener: PostgresListener) {
    super()
    this.#listener = listener
  }

  override async listen(
    jobTypes: readonly string[],
    heard: () => void,
  ): Promise<() => Promise<void>> {
    const wanted = new Set(jobTypes)
    return await this.#listener.listen(announcementChannel, {
      heard: (jobType) => {
        if (wanted.has(jobType)) heard()
      },
      missed: heard,
    })
  }
}
