import { expect, test } from '@jest/globals'
import type { JsonObject } from '../../domain/json.ts'
import type { Signals, SignalTopic } from '../../domain/ports/signals.ts'
import { waitFor } from '../support/wait-for.ts'

/** What every fan-out promises: at most once, in the order of one publisher. */
export function signalsContract(given: () => Signals): void {
  async function collected(topic: SignalTopic) {
    const heard: JsonObject[] = []
    const stop = await given().subscribe(topic, (payload) => heard.push(payload))
    return { heard, stop }
  }

  test('all subscribers of a topic hear a signal, those of others do not', async () => {
    const one = await collected('job_cancel')
    const two = await collected('job_cancel')
    const other = await collected('balance_updates')
    const payload = { jobIds: ['a', 'b\u0000\ud800 😀 \'"\\'] }
    await given().publish('job_cancel', payload)
    await waitFor('both to hear', () => one.heard.length === 1 && two.heard.length === 1)
    await given().publish('balance_updates', { orgIds: ['o'] })
    await waitFor('the other', () => other.heard.length === 1)
    expect(one.heard).toEqual([payload])
    expect(two.heard).toEqual([payload])
    expect(other.heard).toEqual([{ orgIds: ['o'] }])
    await Promise.all([one.stop(), two.stop(), other.stop()])
  })

  test('signals of one publisher arrive in their order', async () => {
    const progress = await collected('job_progress')
    const sent = Array.from({ length: 300 }, (_, at) => ({ jobId: 'j', progress: at }))
    await Promise.all(sent.map((payload) => given().publish('job_progress', payload)))
    await waitFor('all', () => progress.heard.length === sent.length)
    expect(progress.heard).toEqual(sent)
    await progress.stop()
  })

  test('who stopped hears nothing any more', async () => {
    const [one, other] = [await collected('access_changed'), await collected('access_changed')]
    await one.stop()
    await given().publish('access_changed', { orgId: 'o', keyIds: [] })
    await waitFor('the other', () => other.heard.length === 1)
    expect(one.heard).toEqual([])
    await other.stop()
  })

  test('a long list arrives whole, in one signal or in several', async () => {
    const updates = await collected('job_updates')
    const jobs = Array.from({ length: 1_000 }, (_, at) => ({ jobId: `job-${at}`, revision: at }))
    await given().publish('job_updates', { jobs })
    const arrived = () => updates.heard.flatMap((payload) => payload['jobs'])
    await waitFor('the whole list', () => arrived().length === jobs.length)
    expect(arrived()).toEqual(jobs)
    await updates.stop()
  })
}
