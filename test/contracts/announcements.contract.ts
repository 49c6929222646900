import { expect, test } from '@jest/globals'
import type { Announcements, Announcer } from '../../domain/ports/announcements.ts'
import { waitFor } from '../support/wait-for.ts'

export type AnnouncementsHarness = {
  readonly announcer: Announcer
  readonly announcements: Announcements
}

/** What every announcer and its announcements promise. */
export function announcementsContract(given: () => AnnouncementsHarness): void {
  async function counted(jobTypes: string[]) {
    let count = 0
    const stop = await given().announcements.listen(jobTypes, () => {
      count += 1
    })
    return { count: () => count, stop }
  }

  test('those who listen to a job type hear it, the others do not', async () => {
    const image = await counted(['image', 'video'])
    const audio = await counted(['audio'])
    await given().announcer.announce(['image'])
    await waitFor('the announcement', () => image.count() === 1)
    await given().announcer.announce(['audio', 'other'])
    await waitFor('the announcement', () => audio.count() === 1)
    expect(image.count()).toBe(1)
    await given().announcer.announce(['video'])
    await waitFor('the announcement', () => image.count() === 2)
    expect(audio.count()).toBe(1)
    await Promise.all([image.stop(), audio.stop()])
  })

  test('everybody who listens hears', async () => {
    const listeners = await Promise.all([1, 2, 3].map(() => counted(['image'])))
    await given().announcer.announce(['image'])
    await waitFor('all to hear', () => listeners.every((one) => one.count() > 0))
    await Promise.all(listeners.map((one) => one.stop()))
  })

  test('who stopped hears nothing any more, the others go on', async () => {
    const [one, other] = [await counted(['image']), await counted(['image'])]
    await one.stop()
    await given().announcer.announce(['image'])
    await waitFor('the announcement', () => other.count() === 1)
    expect(one.count()).toBe(0)
    await other.stop()
    const again = await counted(['image'])
    await given().announcer.announce(['image'])
    await waitFor('the announcement', () => again.count() === 1)
    expect(other.count()).toBe(1)
    await again.stop()
  })

  test('many announcements at once are heard at least once', async () => {
    const image = await counted(['image'])
    const announce = (): Promise<void> => given().announcer.announce(['image', 'video'])
    await Promise.all(Array.from({ length: 500 }, announce))
    await waitFor('an announcement', () => image.count() > 0)
    await image.stop()
  })
}
