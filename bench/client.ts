import { io } from 'socket.io-client'
import { Agent, request } from 'undici'
import { onCleanup } from './cleanup.ts'
import { list, members, parse, text } from './json.ts'
import { jobBody } from './stack.ts'
import type { Balance, JobSignal, Org, Stack } from './stack.ts'

const connectMsMax = 10_000

/** The load generator's side of a stack: connections kept alive, one request on each at a time. */
export interface Client {
  /** Submits one job; resolves with its id when the answer is read. */
  readonly submit: (org: Org) => Promise<string>
  /** Submits `count` jobs in one request; resolves with their ids. */
  readonly submitBatch: (org: Org, count: number) => Promise<string[]>
  /** Has one job accepted that is not run now. */
  readonly accept: (org: Org) => Promise<void>
  readonly balance: (org: Org) => Promise<Balance>
}

export function connect(stack: Stack, connections: number): Client {
  const agent = new Agent({ connections, pipelining: 1 })
  onCleanup('HTTP connections', () => agent.destroy())
  const call = async (method: 'GET' | 'POST', path: string, org: Org, body?: string) => {
    const headers = { authorization: `Bearer ${org.token}`, 'content-type': 'application/json' }
    const options = { method, headers, dispatcher: agent, body: body ?? null }
    const answer = await request(stack.baseUrl + path, options)
    const json = await answer.body.text()
    if (answer.statusCode >= 300) {
      throw new Error(`${method} ${path}: ${String(answer.statusCode)} ${json.slice(0, 500)}`)
    }
    return parse(json)
  }
  const one = JSON.stringify(jobBody)
  const accepted = JSON.stringify(stack.accept.body)
  return {
    submit: async (org) => text(await call('POST', stack.paths.submit, org, one), 'jobId'),
    submitBatch: async (org, count) => {
      const body = JSON.stringify({ jobs: Array.from({ length: count }, () => jobBody) })
      const answer = await call('POST', stack.paths.batch, org, body)
      return list(answer, 'items').map((item) => {
        const { status, job } = members(item, 'item')
        if (status !== 202) throw new Error(`a job of a batch was refused: ${String(status)}`)
        return text(job, 'jobId')
      })
    },
    accept: async (org) => {
      await call('POST', stack.accept.path, org, accepted)
    },
    balance: async (org) => {
      const answer = await call('GET', stack.paths.balance, org)
      return {
        availableMicro: BigInt(text(answer, 'available')),
        heldMicro: BigInt(text(answer, 'held')),
      }
    },
  }
}

/** Subscribes one socket per org to all of the org's jobs. */
export async function listen(stack: Stack, onSignal: (signal: JobSignal) => void): Promise<void> {
  await Promise.all(
    stack.orgs.map(async ({ orgId, token }) => {
      const socket = io(stack.baseUrl, {
        path: stack.socketPath,
        transports: ['websocket'],
        auth: { token },
        forceNew: true,
        reconnection: false,
      })
      onCleanup('socket', () => void socket.close())
      socket.on('update', (update: unknown) => {
        const signal = stack.readUpdate(update)
        if (signal) onSignal(signal)
      })
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('connect_error', reject)
      })
      const request = { channel: `org:${orgId}` }
      const answer: unknown = await socket.timeout(connectMsMax).emitWithAck('subscribe', request)
      if (members(answer, 'answer to subscribe').ok !== true) {
        throw new Error(`subscribe org: ${JSON.stringify(answer)}`)
      }
    }),
  )
}
