import { expect, test } from '@jest/globals'
import { apiMemory, longestWaitDuring } from '../support/api-load.ts'
import { openRaw, trickle, type RawConnection } from '../support/raw-http.ts'
import { useWeir } from '../support/use-weir.ts'

// Clients that take their time, and thousands that say nothing at all.

const used = useWeir({ isOwn: true })
const limitMs = 120_000
/** What weir promises, ms; see src/http/intake.ts. */
const headersMs = 10_000
const bodyMs = 20_000
/** The machine that runs this is busy with other things too. */
const slackMs = 6_000
const waitMsMax = 2_000
const slowClients = 30
/** 10,000 elsewhere: `WEIR_HOSTILE_SOCKETS=10000`. */
const idleSockets = Number(process.env['WEIR_HOSTILE_SOCKETS'] ?? 2_000)
const bytesPerSocketMax = 30_000
const bytesOfTheRest = 80_000_000

async function openMany(count: number): Promise<readonly RawConnection[]> {
  const connections: RawConnection[] = []
  for (let opened = 0; opened < count; opened += 100) {
    const size = Math.min(100, count - opened)
    const some = Array.from({ length: size }, () => openRaw(used.weir.baseUrl))
    connections.push(...(await Promise.all(some)))
  }
  return connections
}

function expectWithin(times: readonly number[], fromMs: number, toMs: number): void {
  expect(Math.min(...times)).toBeGreaterThan(fromMs)
  expect(Math.max(...times)).toBeLessThan(toMs)
}

test(
  'headers and bodies that trickle are cut off in time, and others are served meanwhile',
  async () => {
    const { api } = await used.newOrg()
    const silent = await openMany(slowClients)
    const byHeader = await openMany(slowClients)
    const byBody = await openMany(slowClients)
    for (const { socket } of byHeader) socket.write('GET /v1/balance HTTP/1.1\r\nhost: a\r\n')
    const head =
      `POST /v1/jobs HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${api.token}\r\n` +
      'content-type: application/json\r\ncontent-length: 1000\r\n\r\n{'
    for (const { socket } of byBody) socket.write(head)

    const ends = Promise.all([
      Promise.all(silent.map(({ closed }) => closed)),
      Promise.all(byHeader.map((one) => trickle(one, 'x-a: b\r\n'))),
      Promise.all(byBody.map((one) => trickle(one, ' '))),
    ])
    expect(await longestWaitDuring(api, ends)).toBeLessThan(waitMsMax)
    const [silentMs, headerMs, bodyEndMs] = await ends
    expectWithin(silentMs, headersMs - 1_000, headersMs + slackMs)
    expectWithin(headerMs, headersMs - 1_000, headersMs + slackMs)
    expectWithin(bodyEndMs, bodyMs - 1_000, bodyMs + slackMs)
    for (const { text } of [...byHeader, ...byBody]) {
      expect(text).toMatch(
        /^HTTP\/1\.1 408 Request Timeout\r\ncontent-type: application\/problem\+json/,
      )
      expect(text).toMatch(/"detail":"[^"]* within \d+ s/)
    }
  },
  limitMs,
)

test(
  'thousands of idle connections cost little memory, and nobody waits for them',
  async () => {
    const { api } = await used.newOrg()
    const before = apiMemory(used.weir)
    const idle = await openMany(idleSockets)
    const ends = Promise.all(idle.map(({ closed }) => closed))
    const served = longestWaitDuring(api, ends)
    const grown = apiMemory(used.weir) - before
    expect(grown).toBeLessThan(idleSockets * bytesPerSocketMax + bytesOfTheRest)
    expect(await served).toBeLessThan(waitMsMax)
    expect(Math.max(...(await ends))).toBeLessThan(headersMs + slackMs + idleSockets)
  },
  limitMs,
)
