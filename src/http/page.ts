import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { isKnown } from './entity-tag.ts'

const localNames = ['localhost', '127.0.0.1', '[::1]']

const javascript = 'text/javascript; charset=utf-8'

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': javascript,
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.jpg': 'image/jpeg',
}

/** @param elsewhere another origin that the page may fetch from and send to, or null */
function contentSecurityPolicy(elsewhere: string | null): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "font-src 'self'",
    elsewhere === null ? "connect-src 'self'" : `connect-src 'self' ${elsewhere}`,
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ')
}

/** Where links lead: those of weir itself, and the signed ones of results and uploads. */
export type PageLinks = { readonly publicUrl: string; readonly objectOrigin: string }

type PageFile = { readonly url: string; readonly bytes: Buffer; readonly contentType: string }

/** Serves the page at `/` and the SDK at `/client/`: a handful of files, read once at start. */
export function registerPage(
  instance: FastifyInstance,
  { publicUrl, objectOrigin }: PageLinks,
): void {
  const areObjectsHere = objectOrigin === new URL(publicUrl).origin
  const policy = contentSecurityPolicy(areObjectsHere ? null : objectOrigin)
  for (const { url, bytes, contentType } of [...pageFiles(), ...clientFiles()]) {
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
    instance.get(url, (request, reply) => {
      if (url === '/' && isOtherName(request.headers.host, publicUrl)) {
        return reply.redirect(`${publicUrl}/`)
      }
      void reply.headers({ etag, 'cache-control': 'no-cache' })
      if (isKnown(request.headers['if-none-match'], etag)) return reply.status(304).send()
      void reply.headers({
        'content-type': contentType,
        'content-security-policy': policy,
        'referrer-policy': 'no-referrer',
      })
      return reply.send(bytes)
    })
  }
}

/** Whether this machine was called by another name: its own links would lead elsewhere. */
function isOtherName(host: string | undefined, publicUrl: string): boolean {
  const own = new URL(publicUrl)
  const asked = URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : own
  const areLocal = [own, asked].every(({ hostname }) => localNames.includes(hostname))
  return areLocal && own.port === asked.port && own.hostname !== asked.hostname
}

/** The SDK for browsers: as it was compiled, but for the one package that it names. */
function clientFiles(): readonly PageFile[] {
  const folder = fileURLToPath(new URL('../../client/', import.meta.url))
  return readdirSync(folder)
    .filter((name) => extname(name) === '.js')
    .map((name) => {
      const code = readFileSync(join(folder, name), 'utf8')
        .replaceAll(/(['"])socket\.io-client\1/g, "'/v1/socket/socket.io.esm.min.js'")
        .replace(/^\/\/# sourceMappingURL=.*$/m, '')
      return { url: `/client/${name}`, bytes: Buffer.from(code), contentType: javascript }
    })
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
