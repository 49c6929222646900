import type pg from 'pg'
import { Announcer } from '../../domain/ports/announcements.ts'
import { announcementChannel } from './channels.ts'
import { Notifier } from './notifier.ts'

/** Announces by NOTIFY on one channel for all job types; the payload is the type. */
export class PostgresAnnouncer extends Announcer {
  readonly #notifier: Notifier

  constructor(pool: pg.Pool) {
    super()
    this.#notifier = new Notifier(pool)
  }

  override async announce(jobTypes: readonly string[]): Promise<void> {
    await Promise.all(jobTypes.map((type) => this.#notifier.notify(announcementChannel, type)))
  }
}
