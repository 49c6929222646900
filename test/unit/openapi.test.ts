import 'reflect-metadata'
import { describe, expect, test } from '@jest/globals'
import { RequestMethod } from '@nestjs/common'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { fastify } from 'fastify'
import { errorTable } from '../../domain/errors.ts'
import type { JsonObject } from '../../domain/json.ts'
import { AppModule } from '../../src/app.module.ts'
import { jobRequest } from '../../src/commands/job-request.ts'
import type { Access } from '../../src/http/access.ts'
import { corsOptions } from '../../src/http/cors.ts'
import { registerObjectRoutes } from '../../src/http/objects.ts'
import { docsPage } from '../../src/http/openapi/docs-page.ts'
import { openApiDocument } from '../../src/http/openapi/document.ts'
import type { OpenApi, Operation } from '../../src/http/openapi/openapi.ts'
import { methods } from '../../src/http/openapi/openapi.ts'
import { problemName } from '../../src/http/openapi/problems.ts'
import type { Runtime } from '../../src/runtime.ts'
import { jobTypes } from '../../workers/handlers/registry.ts'
import { everyObject, follow, OpenApiChecker } from '../support/openapi-checker.ts'

const baseUrl = 'http://127.0.0.1:3000'
const document: OpenApi = openApiDocument({ baseUrl, jobTypes })
const checker = new OpenApiChecker(document)
const plain = JSON.parse(JSON.stringify(document)) as JsonObject
const objects = everyObject(plain)

type RouteSeen = { readonly name: string; readonly access: Access | undefined }
type Handler = (...parameters: readonly unknown[]) => unknown

/** What Nest registers, from the metadata that its decorators leave. */
function nestRoutes(): readonly RouteSeen[] {
  const { controllers = [] } = AppModule.of({} as Runtime)
  return controllers.flatMap((controller) => {
    const prefix = String(Reflect.getMetadata('path', controller))
    const handlers = Object.values(Object.getOwnPropertyDescriptors(controller.prototype))
      .map(({ value }): unknown => value)
      .filter((value): value is Handler => typeof value === 'function')
      .filter((handler) => Reflect.hasMetadata('method', handler))
    return handlers.map((handler) => {
      const method = RequestMethod[Reflect.getMetadata('method', handler) as number] ?? ''
      const path = `/${prefix}/${String(Reflect.getMetadata('path', handler))}`
      const access = Reflect.getMetadata('weir:access', handler) as Access | undefined
      return { name: `${method} ${tidyPath(path)}`, access }
    })
  })
}

function tidyPath(path: string): string {
  const single = path.replaceAll(/\/+/g, '/').replace(/(?<=.)\/$/, '')
  return single.replaceAll(/:(\w+)/g, '{$1}')
}

/** What is registered beside Nest. */
async function objectRoutes(): Promise<readonly string[]> {
  const names: string[] = []
  const instance = fastify()
  instance.addHook('onRoute', ({ method, url }) => {
    const verbs = [method].flat().filter((verb) => verb !== 'HEAD')
    names.push(...verbs.map((verb) => `${verb} ${url.replace('*', '{objectKey}')}`))
  })
  registerObjectRoutes(instance, {} as Parameters<typeof registerObjectRoutes>[1])
  await instance.ready()
  await instance.close()
  return names
}

type OperationSeen = { readonly name: string; readonly operation: Operation }

const operations: readonly OperationSeen[] = Object.entries(document.paths).flatMap(
  ([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method]
      return operation ? [{ name: `${method.toUpperCase()} ${path}`, operation }] : []
    }),
)

function securityOf(access: Access | undefined): Operation['security'] | undefined {
  if (access === 'public') return []
  if (access === undefined) return undefined
  if ('role' in access) return [{ adminToken: [access.role] }, { adminSession: [access.role] }]
  const key = { apiKey: [access.scope] }
  return access.clients ? [key, { clientToken: [] }] : [key]
}

describe('the OpenAPI document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()
    const { valid, errors } = await validator.validate(plain)
    expect(errors).toBeUndefined()
    expect(valid).toBe(true)
    expect(validator.version).toBe('3.1')
  })

  test('has schemas of draft 2020-12 alone, those of requests among them', () => {
    const ajv = new Ajv2020({ strict: false })
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      expect({ name, isValid: ajv.validateSchema(schema) }).toEqual({ name, isValid: true })
    }
  })

  test('describes the routes that there are, and no other', async () => {
    const there = [...nestRoutes().map(({ name }) => name), ...(await objectRoutes())].sort()
    expect(operations.map(({ name }) => name).sort()).toEqual(there)
  })

  test('has no method that pages of other origins may not use', () => {
    const used = new Set(operations.map(({ name }) => name.split(' ')[0]))
    expect(corsOptions([]).methods).toEqual(expect.arrayContaining([...used]))
  })

  test.each(nestRoutes())('says who may call $name', ({ name, access }) => {
    const described = operations.find((operation) => operation.name === name)
    expect(described?.operation.security).toEqual(securityOf(access))
  })

  test('names every operation once', () => {
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('has a parameter for every brace of a path', () => {
    for (const { name, operation } of operations) {
      const inPath = [...name.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
      const described = (operation.parameters ?? [])
        .map((parameter) => ('$ref' in parameter ? follow(document, parameter.$ref) : parameter))
        .filter((parameter) => Reflect.get(Object(parameter), 'in') === 'path')
      const names = described.map((one): unknown => Reflect.get(Object(one), 'name'))
      expect(names).toEqual(inPath)
    }
  })

  test('has no reference that leads nowhere, and no component that nothing leads to', () => {
    const references = objects.flatMap(({ value }) =>
      typeof value['$ref'] === 'string' ? [value['$ref']] : [],
    )
    expect(references.filter((one) => follow(document, one) === undefined)).toEqual([])
    const { securitySchemes: _, ...components } = document.components
    const unused = Object.entries(components)
      .flatMap(([kind, known]) => Object.keys(known).map((name) => `#/components/${kind}/${name}`))
      .filter((pointer) => !references.includes(pointer))
    // Problems that no route has yet stand in the table of errors.
    expect(unused.filter((pointer) => !pointer.endsWith('Problem'))).toEqual([])
  })

  test('has only examples that its schemas allow', () => {
    const wrong = objects.flatMap(({ at, value }) => {
      const { schema, example, examples } = value
      if (typeof schema !== 'object' || schema === null) return []
      const single = example === undefined ? [] : [['example', example] as const]
      const several = Object.entries(examples ?? {}).map(
        ([name, one]) => [name, (one as JsonObject)['value']] as const,
      )
      return [...single, ...several].flatMap(([name, one]) =>
        checker.mistakes(schema as JsonObject, one).map((mistake) => `${at} ${name}: ${mistake}`),
      )
    })
    expect(wrong).toEqual([])
  })

  test('has examples of jobs that weir takes', () => {
    const body = document.paths['/v1/jobs']?.post?.requestBody?.content['application/json']
    const requests = Object.values(body?.examples ?? {}).map(({ value }) => jobRequest(value))
    expect(requests.length).toBeGreaterThan(0)
    for (const { type, input } of requests) {
      expect(jobTypes.get(type)?.validate(input)).toEqual([])
    }
  })

  test('has a problem for every error code, with its status', () => {
    for (const [code, { status }] of Object.entries(errorTable)) {
      const schema = document.components.schemas[problemName(code as keyof typeof errorTable)]
      expect(schema?.['properties']).toMatchObject({
        code: { const: code },
        status: { const: status },
      })
    }
  })

  test('lists under a status only codes that have it', () => {
    const misplaced = operations.flatMap(({ name, operation }) =>
      Object.entries(operation.responses).flatMap(([status, response]) => {
        const known = '$ref' in response ? follow(document, response.$ref) : response
        const codes = [...JSON.stringify(known).matchAll(/"code":"(\w+)"/g)].map(([, code]) => code)
        return codes
          .filter((code) => Number(status) >= 400 && statusOf(code ?? '') !== Number(status))
          .map((code) => `${name} ${status} ${code}`)
      }),
    )
    expect(misplaced).toEqual([])
  })
})

function statusOf(code: string): number | undefined {
  return Object.entries(errorTable).find(([known]) => known === code)?.[1].status
}

describe('the page of the document', () => {
  const page = docsPage(document)

  test('shows every operation, event and schema', () => {
    const names = [
      ...operations.map(({ operation }) => operation.operationId),
      ...Object.keys(document.components.schemas)
        .filter((name) => !/.Problem$/.test(name))
        .map((name) => `schema-${name}`),
      ...Object.keys(document['x-socket-io'].emit).map((name) => `socket-${name}`),
      ...Object.keys(document['x-socket-io'].receive).map((name) => `socket-${name}`),
    ]
    expect(names.filter((name) => !page.includes(`id="${name}"`))).toEqual([])
    const events = Object.keys(document.webhooks)
    expect(events.filter((name) => !page.includes(`<code>${name}</code>`))).toEqual([])
  })

  test('has no link that leads nowhere, and no id twice', () => {
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
    const links = [...page.matchAll(/ href="#([^"]+)"/g)].map(([, id]) => id)
    expect(links.filter((id) => !ids.includes(id))).toEqual([])
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([])
  })

  test('holds no script, and nothing that its policy forbids', () => {
    expect(page).not.toMatch(/<script|<style| style=| on\w+=|<iframe/i)
  })

  test('escapes what it is given', () => {
    const title = '<img src=x onerror=alert(1)>'
    const hostile = docsPage({ ...document, info: { ...document.info, title } })
    expect(hostile).not.toContain('<img')
    expect(hostile).toContain('&lt;img')
  })
})
