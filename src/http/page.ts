import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.jpg': 'image/jpeg',
}

const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

type PageFile = { readonly url: string; readonly bytes: Buffer; readonly contentType: string }

/** Serves the page at `/`: a handful of files that are read once, at start. */
export function registerPage(instance: FastifyInstance): void {
  for (const { url, bytes, contentType } of pageFiles()) {
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
    instance.get(url, (request, reply) => {
      void reply.headers({ etag, 'cache-control': 'no-cache' })
      if (request.headers['if-none-match'] === etag) return reply.status(304).send()
      void reply.headers({
        'content-type': contentType,
        'content-security-policy': contentSecurityPolicy,
        'referrer-policy': 'no-referrer',
      })
      return reply.send(bytes)
    })
  }
}

function pageFiles(): readonly PageFile[] {
  const root = packageRoot()
  const folder = join(root, 'src', 'public')
  const files = readdirSync(folder)
    .filter((name) => extname(name) in contentTypes)
    .map((name) => ({ path: join(folder, name), url: name === 'index.html' ? '/' : `/${name}` }))
  const photo = { path: join(root, 'examples', 'photo.jpg'), url: '/photo.jpg' }
  return [...files, photo].map(({ path, url }) => ({
    url,
    bytes: readFileSync(path),
    contentType: contentTypes[extname(path)] ?? 'application/octet-stream',
  }))
}

/** The folder that holds package.json, whether this runs from the sources or compiled. */
function packageRoot(): string {
  const up = ['../../', '../../../'].map((path) => fileURLToPath(new URL(path, import.meta.url)))
  const root = up.find((path) => existsSync(join(path, 'package.json')))
  if (root === undefined) throw new Error('package.json is not where the page expects it')
  return root
}
