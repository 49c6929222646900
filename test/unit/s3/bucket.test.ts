import { afterEach, expect, test } from '@jest/globals'
import { prepareBucket } from '../../../infra/s3/bucket.ts'
import type { Reply, ScriptedServer } from '../../support/scripted-server.ts'
import { playReplies } from '../../support/scripted-server.ts'

let server: ScriptedServer

afterEach(async () => {
  await server.close()
})

const there: Reply = (response) => response.writeHead(200).end()

const refusal =
  (status: number, code: string): Reply =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/xml' })
    response.end(`<Error><Code>${code}</Code><Message>no</Message></Error>`)
  }

async function prepare(...replies: readonly Reply[]): Promise<boolean> {
  server = await playReplies(...replies)
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const where = { bucket: 'weir', region: 'us-east-1', endpoint: server.url, isPathStyle: true }
  return await prepareBucket({ ...where, credentials }, ['https://weir.example.com'])
}

test.each([
  [501, 'NotImplemented'],
  [405, 'MethodNotAllowed'],
])('a server without rules for origins, %d %s, is left as it is', async (status, code) => {
  await expect(prepare(there, refusal(status, code))).resolves.toBe(false)
  expect(server.asked.map(({ method }) => method)).toEqual(['HEAD', 'PUT'])
})

test('who may not set rules for origins is told', async () => {
  await expect(prepare(there, refusal(403, 'AccessDenied'))).rejects.toThrow(
    'allow origins on weir',
  )
})
