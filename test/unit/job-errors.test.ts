import { expect, test } from '@jest/globals'
import { repositoryFiles } from '../support/repository.ts'

test('the reference of job errors names every code that a job can fail with, and no other', () => {
  const files = repositoryFiles()
  const source = /^(domain\/job|workers|src\/profiles)\/.*\.ts$/
  const thrown = /\{\s*code: (?:.+\?\? )?'(\w+)'/g
  const codes = files
    .filter(({ path }) => source.test(path))
    .flatMap(({ text }) => [...text.matchAll(thrown)].map((match) => match[1]))
  const page = files.find(({ path }) => path === 'docs/reference/job-errors.md')?.text ?? ''
  const documented = [...page.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1])
  expect(documented.sort()).toEqual([...new Set(codes)].sort())
})
