import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from '@jest/globals'
import { catalog } from '../../domain/catalog.ts'
import { generateDocs } from '../support/generated-docs.ts'

const docs = join(import.meta.dirname, '../../docs')
const generated = generateDocs()

function onDisk(): ReadonlyMap<string, string> {
  const schemas = readdirSync(join(docs, 'events')).map((name) => `events/${name}`)
  const paths = ['errors.md', 'reference/openapi.json', ...schemas]
  return new Map(paths.map((path) => [path, readFileSync(join(docs, path), 'utf8')]))
}

function update(): void {
  rmSync(join(docs, 'events'), { recursive: true, force: true })
  for (const [path, content] of generated) {
    mkdirSync(dirname(join(docs, path)), { recursive: true })
    writeFileSync(join(docs, path), content)
  }
}

if (process.env['UPDATE_DOCS'] === '1') update()

test('the generated pages of docs/ are what `npm run docs:generate` writes', () => {
  expect(Object.fromEntries(onDisk())).toEqual(Object.fromEntries(generated))
})

test('every event of the catalogue has a schema and a meaning', () => {
  const page = generated.get('events/README.md') ?? ''
  for (const type of Object.keys(catalog)) {
    expect(generated.has(`events/${type}.schema.json`)).toBe(true)
    expect(page).toMatch(new RegExp(`\\| \\[${type}\\]\\S+ \\| \`[^|]+\` \\| \\S[^|]+ \\|`))
  }
})
