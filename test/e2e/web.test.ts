import { readFileSync, statSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { Client, expectProblem, expectStatus, sandbox } from '../support/client.ts'
import { connect } from '../support/socket.ts'
import { useWeir } from '../support/use-weir.ts'
import { waitFor } from '../support/wait-for.ts'

interface Session {
  readonly token: string
  readonly orgId: string
  readonly expiresAt: string
}

const used = useWeir()

/** Asks with a Host header of one's own, which `fetch` does not let one set. */
async function answerFor(host: string, path: string): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    const asked = request(new URL(path, used.weir.baseUrl), { headers: { host } }, (response) => {
      response.resume()
      resolve(response)
    })
    asked.once('error', reject)
    asked.end()
  })
}

async function statusFor(host: string, path: string): Promise<number> {
  return (await answerFor(host, path)).statusCode ?? 0
}

test('the page comes with a policy that lets nothing from elsewhere in', async () => {
  const page = await used.nobody.get('/')
  expect(page.status).toBe(200)
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  const policy = page.headers.get('content-security-policy') ?? ''
  const rules = new Map(
    policy.split('; ').map((rule) => {
      const [name = '', ...sources] = rule.split(' ')
      return [name, sources.join(' ')]
    }),
  )
  expect(rules.get('default-src')).toBe("'none'")
  expect(rules.get('script-src')).toBe("'self'")
  expect(rules.get('style-src')).toBe("'self'")
  expect(rules.get('frame-ancestors')).toBe("'none'")
  expect(policy).not.toMatch(/unsafe|https?:|\*/)
  expect(page.headers.get('x-content-type-options')).toBe('nosniff')
  expect(page.headers.get('referrer-policy')).toBe('no-referrer')
  // What the policy forbids must not be in the page: scripts and styles of its own, other hosts.
  expect(page.text).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/i)
  expect(page.text).not.toMatch(/(src|href)="(https?:)?\/\//)
})

test('everything that the page names is there, and is not sent twice', async () => {
  const { text } = await used.nobody.get('/')
  const named = [...text.matchAll(/(?:src|href)="(\/?[\w./-]+)"/g)].map((match) => match[1] ?? '')
  const files = named.filter((name) => /\.\w+$/.test(name))
  expect(files.length).toBeGreaterThan(2)
  for (const file of files) {
    const path = file.startsWith('/') ? file : `/${file}`
    const first = await used.nobody.get(path)
    expect({ path, status: first.status }).toEqual({ path, status: 200 })
    const etag = first.headers.get('etag') ?? ''
    const again = await used.nobody.get(path, { 'if-none-match': etag })
    expect({ status: again.status, text: again.text }).toEqual({ status: 304, text: '' })
  }
})

test('the SDK is served as modules that a browser can load, all of them', async () => {
  const seen = new Set<string>()
  const load = async (path: string): Promise<void> => {
    if (seen.has(path)) return
    seen.add(path)
    const { status, headers, text } = await used.nobody.get(path)
    expect({ path, status }).toEqual({ path, status: 200 })
    expect(headers.get('content-type')).toMatch(/javascript/)
    expect(text).not.toContain('sourceMappingURL=weir')
    for (const [, name = ''] of text.matchAll(/(?:from |import\()["']([^"']+)["']/g)) {
      expect(name).toMatch(/^(\.\/|\/v1\/socket\/)/)
      if (name.startsWith('./')) await load(new URL(name, `http://weir${path}`).pathname)
    }
  }
  await load('/client/weir.js')
  expect(seen).toContain('/client/line.js')
  expect((await used.nobody.get('/v1/socket/socket.io.esm.min.js')).status).toBe(200)
  expect((await used.nobody.get('/client/package.json')).status).toBe(404)
})

test('the page by another name of this machine leads to where its links lead', async () => {
  const { port } = new URL(used.weir.baseUrl)
  const { statusCode, headers } = await answerFor(`localhost:${port}`, '/')
  expect(statusCode).toBe(302)
  expect(headers.location).toBe(`${used.weir.baseUrl}/`)
  // Behind a forwarded port the same address may be another machine.
  for (const host of [
    `127.0.0.1:${port}`,
    'localhost:81',
    'weir.example',
    `weir.example:${port}`,
  ]) {
    expect({ host, status: await statusFor(host, '/') }).toEqual({ host, status: 200 })
  }
})

test('files beside the page are not served', async () => {
  const paths = ['/index.html', '/package.json', '/../package.json', '/%2e%2e/package.json']
  for (const path of [...paths, '/src/main.ts', '/dev.json', '/.weir/dev.json', '/secret.key']) {
    const answer = await used.nobody.get(path)
    expect([400, 404]).toContain(answer.status)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
  }
})

test('the page gets a session of the demo org, for an hour and without admin rights', async () => {
  const answer = await used.nobody.get<Session>('/v1/dev/session')
  const { token, orgId, expiresAt } = expectStatus(answer, 200)
  expect(orgId).toBe(used.weir.dev.orgId)
  const minutes = (Date.parse(expiresAt) - Date.now()) / 60_000
  expect(minutes).toBeGreaterThan(0)
  expect(minutes).toBeLessThanOrEqual(60)
  const page = new Client(used.weir.baseUrl, token)
  const socket = await connect(used.weir.baseUrl, token)
  expect(await socket.subscribe(`org:${orgId}`)).toMatchObject({ ok: true })
  expect(await socket.subscribe(`balance:${orgId}`)).toMatchObject({ ok: true })
  const job = await page.run(sandbox())
  await waitFor('the end', () => socket.updates.at(-1)?.type === 'job.succeeded')
  socket.close()
  expect((await page.download(job.jobId)).sha256).toBe(job.result?.sha256)
  expectStatus(await page.get('/v1/balance'), 200)
  expectStatus(await page.get(`/v1/usage?jobId=${job.jobId}`), 200)
  for (const path of ['/v1/webhook-secret', '/v1/admin/orgs', `/v1/admin/orgs/${orgId}`]) {
    expectProblem(await page.get(path), 403, 'forbidden')
  }
  expectProblem(await page.post('/v1/tokens', {}), 403, 'forbidden')
})

test('a session is only for a browser that calls weir by a local name', async () => {
  const { port } = new URL(used.weir.baseUrl)
  const path = '/v1/dev/session'
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, 'localhost']) {
    expect({ host, status: await statusFor(host, path) }).toEqual({ host, status: 200 })
  }
  const foreign = ['evil.example', `evil.example:${port}`, `localhost.evil.example:${port}`, 'a b']
  for (const host of [...foreign, `127.0.0.1.nip.io:${port}`, `127.0.0.2:${port}`, 'LOCALHOST.']) {
    const status = await statusFor(host, path)
    expect({ host, isRefused: status === 404 || status === 400 }).toEqual({ host, isRefused: true })
  }
  // A page of another origin can ask, but is not let to read the answer.
  const answer = await used.nobody.get(path, { origin: 'https://evil.example' })
  expect(answer.headers.get('access-control-allow-origin')).toBeNull()
})

test('dev.json is for its owner alone, and what it holds works', async () => {
  const { home, dev, baseUrl } = used.weir
  expect(statSync(join(home, 'dev.json')).mode & 0o777).toBe(0o600)
  expect(dev).toMatchObject({ baseUrl, adminUrl: `${baseUrl}/admin` })
  expect(dev.apiKey).toMatch(/^weir_live_[0-9A-Za-z]+_[0-9A-Za-z]+_[0-9A-Za-z]+$/)
  expect(dev.orgId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/)
  const demo = new Client(baseUrl, dev.apiKey)
  const secret = await demo.get<{ secret: string }>('/v1/webhook-secret')
  expect(secret.json.secret).toBe(dev.webhookSecret)
  const { orgId, posted } = await demo.balance()
  expect(orgId).toBe(dev.orgId)
  expect(BigInt(posted)).toBeGreaterThan(99_000_000n)
  expectStatus(await used.admin.get(`/v1/admin/orgs/${orgId}`), 200)
})

test('each role is a process of its own, under a name that operators can find', () => {
  for (const role of ['api', 'worker', 'projector'] as const) {
    const pids = used.weir.pids(role)
    expect(pids).toHaveLength(1)
    expect(readFileSync(`/proc/${pids[0]}/comm`, 'utf8').trim()).toBe(`weir-${role}`)
  }
})
