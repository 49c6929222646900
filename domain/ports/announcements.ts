/** Rings the bell: there is work of these job types. A hint; the queue is the truth. */
export abstract class Announcer {
  abstract announce(jobTypes: readonly string[]): Promise<void>
}

/** Hears the bell. */
export abstract class Announcements {
  /**
   * Calls `heard` for announcements of any of the job types until the returned function is called.
   * Announcements can be lost, doubled and late.
   */
  abstract listen(jobTypes: readonly string[], heard: () => void): Promise<() => Promise<void>>
}
