import { describe, expect, test } from '@jest/globals'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { DomainError } from '../../../domain/errors.ts'
import { MemoryObjectStore } from '../../../infra/memory/object-store.ts'
import { SimulatedClock } from '../../../infra/simulated/clock.ts'
import { enabledJobTypes, jobTypes } from '../../../workers/handlers/registry.ts'
import { sandboxRun } from '../../../workers/handlers/sandbox-run.ts'
import { emptyTrace, handlerContext } from '../../support/handler-context.ts'

const steps = { steps: 1, stepMs: 0 }

describe('job types', () => {
  test('are listed by name, with a draft 2020-12 schema that knows its members', () => {
    expect([...jobTypes.keys()]).toEqual(['image.upscale', 'sandbox.run'])
    const ajv = new Ajv2020()
    for (const [name, type] of jobTypes) {
      expect(type.type).toBe(name)
      expect(ajv.validateSchema(type.inputSchema)).toBe(true)
      expect(type.inputSchema).toMatchObject({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        additionalProperties: false,
      })
    }
  })

  test('the sandbox can be taken away', () => {
    expect([...enabledJobTypes({ sandbox: false }).keys()]).toEqual(['image.upscale'])
    expect(enabledJobTypes({ sandbox: true })).toBe(jobTypes)
  })

  test('refuse input that the schema of today does not allow, at run as well', async () => {
    const clock = new SimulatedClock()
    const secretKey = Buffer.alloc(32)
    const objects = new MemoryObjectStore({ baseUrl: 'http://x', secretKey, clock })
    for (const type of jobTypes.values()) {
      expect(() => type.estimate({})).toThrow(DomainError)
      const context = handlerContext({ input: {}, objects, clock, trace: emptyTrace() })
      const refusal = { code: 'invalid_input', retryable: false }
      await expect(type.run(context)).rejects.toMatchObject(refusal)
    }
  })
})

describe('input', () => {
  const image = 'data:image/png;base64,iVBORw0KGgo='
  test.each([
    ['sandbox.run', steps],
    ['sandbox.run', { steps: 1000, stepMs: 600_000, outputBytes: 100_000_000 }],
    ['sandbox.run', { ...steps, fail: { atStep: 1, times: 1, code: 'x_1', retryable: false } }],
    ['image.upscale', { image, scale: 2 }],
    ['image.upscale', { image: 'https://example.com/a.png', scale: 3, format: 'webp' }],
    ['image.upscale', { image: '01980000-0000-7abc-9def-0123456789ab', scale: 4 }],
  ])('%s takes %j', (type, input) => {
    expect(jobTypes.get(type)?.validate(input)).toEqual([])
  })

  test.each([
    ['sandbox.run', null, '/input', 'must be an object, not null'],
    ['sandbox.run', [], '/input', 'must be an object, not an array'],
    ['sandbox.run', { stepMs: 0 }, '/input/steps', 'is required'],
    ['sandbox.run', { ...steps, steps: 0 }, '/input/steps', 'must be at least 1'],
    ['sandbox.run', { ...steps, steps: 1001 }, '/input/steps', 'must be at most 1000'],
    [
      'sandbox.run',
      { ...steps, steps: 1.5 },
      '/input/steps',
      'must be an integer, not a number with a fraction',
    ],
    ['sandbox.run', { ...steps, steps: '1' }, '/input/steps', 'must be an integer, not a string'],
    [
      'sandbox.run',
      { ...steps, 'a/b~': 1 },
      '/input/a~1b~0',
      'is not known here; known are steps, stepMs, fail, outputBytes',
    ],
    [
      'sandbox.run',
      { ...steps, fail: { atStep: 1, times: 1, code: 'Not good' } },
      '/input/fail/code',
      'must be a lower-case word of letters, digits and _, at most 64 characters',
    ],
    ['sandbox.run', { ...steps, fail: { atStep: 1 } }, '/input/fail/times', 'is required'],
    ['image.upscale', { image, scale: 5 }, '/input/scale', 'must be one of 2, 3, 4'],
    [
      'image.upscale',
      { image, scale: 2, format: 'gif' },
      '/input/format',
      'must be one of "png", "jpeg", "webp"',
    ],
    ...['http://example.com/a.png', 'file:///etc/passwd', 'cat.png', 'data:text/html,x'].map(
      (bad) =>
        [
          'image.upscale',
          { image: bad, scale: 2 },
          '/input/image',
          'must be an upload id, an https URL or a data URL (data:image/…;base64,…)',
        ] as const,
    ),
  ])('%s with %j: %s %s', (type, input, pointer, detail) => {
    expect(jobTypes.get(type)?.validate(input)).toEqual([{ pointer, detail }])
  })

  test('every error is told, up to 20', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`x${n}`, n]))
    expect(sandboxRun.validate({ steps: 0, stepMs: -1 })).toHaveLength(2)
    expect(sandboxRun.validate({ ...steps, ...many })).toHaveLength(20)
  })
})
