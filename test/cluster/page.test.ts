import { expect, test } from '@jest/globals'
import { expectStatus, sandbox } from '../support/client.ts'
import { useWeir } from '../support/use-weir.ts'

interface Upload {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
}

const used = useWeir()

test('the page may fetch results and send uploads where they are, and nowhere else', async () => {
  const { api } = await used.newOrg()
  const page = await used.nobody.get('/')
  const origin = new URL(used.weir.baseUrl).origin
  const policy = page.headers.get('content-security-policy') ?? ''
  const connect = /connect-src ([^;]*)/.exec(policy)?.[1]

  const asked = await api.post<Upload>('/v1/uploads', { contentType: 'image/png', bytes: 3 })
  const { url, method, headers } = expectStatus(asked, 201)
  expect(connect).toBe(`'self' ${new URL(url).origin}`)
  const preflight = await fetch(url, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': Object.keys(headers).join(', '),
    },
  })
  const allowed = preflight.headers.get('access-control-allow-headers')?.toLowerCase() ?? ''
  expect(preflight.headers.get('access-control-allow-origin')).toBe(origin)
  for (const name of Object.keys(headers)) expect(allowed).toMatch(new RegExp(`\\*|${name}`))

  const { jobId } = await api.run(sandbox({ steps: 1, stepMs: 0 }))
  const { headers: found } = await api.get(`/v1/jobs/${jobId}/result`)
  const result = await fetch(found.get('location') ?? '', { headers: { origin } })
  expect(result.headers.get('access-control-allow-origin')).toBe(origin)
  expect(await result.json()).toMatchObject({ steps: [{ step: 1 }] })
})
