import { canonical } from '../../domain/ledger/canonical.ts'
import type { EventFeed } from '../../domain/ports/event-feed.ts'
import { AccountChains, beginning, headerLine, lineHash, nameOf, sha256 } from './log-file.ts'

/** Events per page. */
const pageEventsMax = 500

export type ExportedLog = {
  readonly events: number
  /** Covers the whole file: who keeps it elsewhere can tell a file that was made anew. */
  readonly hash: string
}

/**
 * Writes all events that the log has now, a page at a time; the form stands in log-file.ts.
 *
 * @param write takes the next piece of text; the export waits for it
 */
export async function exportLog(
  feed: EventFeed,
  write: (text: string) => Promise<void>,
): Promise<ExportedLog> {
  const head = await feed.head()
  const chains = new AccountChains()
  let [n, prev, after] = [0, sha256(headerLine), beginning]
  await write(`${headerLine}\n`)
  for (let place = feed.start; feed.compare(place, head) < 0;) {
    const page = await feed.readPage(place, pageEventsMax)
    if (page.position === place) break
    place = page.position
    let text = ''
    for (const event of page.events) {
      if (feed.compare(event.position, head) > 0) break
      const line = { ...event, n, chain: chains.add(event), after, prev }
      const hash = lineHash(line)
      text += `${canonical({ ...line, hash })}\n`
      ;[n, prev, after] = [n + 1, hash, nameOf(event)]
    }
    await write(text)
  }
  await write(`${canonical({ end: true, events: n, after, hash: prev })}\n`)
  return { events: n, hash: prev }
}
