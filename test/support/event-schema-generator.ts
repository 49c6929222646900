import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** A JSON Schema (2020-12), as JSON. */
export type Schema = { readonly [key: string]: unknown }
export type EventSchema = {
  readonly type: string
  /** What the event means: the doc comment on its type. */
  readonly meaning: string
  readonly schema: Schema
}

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Reads the types of the event catalogue with the compiler that checks them, so that the schemas
 * cannot say anything else than the code. The generators on npm need a newer Node or an older
 * TypeScript than ours.
 */
export function generateEventSchemas(): readonly EventSchema[] {
  const program = ts.createProgram([`${root}domain/catalog.ts`], compilerOptions())
  const checker = program.getTypeChecker()
  const catalog = program.getSourceFile(`${root}domain/catalog.ts`)
  const module = catalog && checker.getSymbolAtLocation(catalog)
  if (!module) throw new Error('domain/catalog.ts cannot be read')
  const union = checker.getExportsOfModule(module).find(({ name }) => name === 'WeirEvent')
  if (!union) throw new Error('domain/catalog.ts does not export WeirEvent')
  const members = membersOf(checker.getDeclaredTypeOfSymbol(union))
  return members
    .map((member) => new SchemaWriter(checker).event(member))
    .sort((a, b) => (a.type < b.type ? -1 : 1))
}

function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, (path) => ts.sys.readFile(path)) as {
    readonly config: { readonly compilerOptions: unknown }
  }
  return ts.convertCompilerOptionsFromJson(config.compilerOptions, root).options
}

const integerText = { type: 'string', pattern: '^-?(0|[1-9][0-9]*)$' }
const time = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' }
const sha256 = { type: 'string', pattern: '^[0-9a-f]{64}$' }

/** What a text holds follows from the name: units and qualifiers stand last in it. */
function textSchema(name: string): Schema {
  if (/(Micro|Nano|Pico)(Usd|Credits)?$/.test(name) || name === 'units') return integerText
  if (name.endsWith('At')) return time
  if (/sha256$/i.test(name)) return sha256
  return { type: 'string' }
}

class SchemaWriter {
  readonly #checker: ts.TypeChecker
  /** Named types of the domain; null while one is being written, for those that hold themselves. */
  readonly #definitions = new Map<string, Schema | null>()

  constructor(checker: ts.TypeChecker) {
    this.#checker = checker
  }

  event(event: ts.Type): EventSchema {
    const typeOf = event.getProperty('type')
    const literal = typeOf && this.#checker.getTypeOfSymbol(typeOf)
    if (!literal?.isStringLiteral()) throw new Error('an event has a literal type')
    const meaning = commentOf(event.aliasSymbol, this.#checker)
    const body = this.#object(event, '')
    const definitions = [...this.#definitions].sort(([a], [b]) => (a < b ? -1 : 1))
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: literal.value,
      description: meaning,
      ...body,
      ...(definitions.length > 0 ? { $defs: Object.fromEntries(definitions) } : {}),
    }
    return { type: literal.value, meaning, schema }
  }

  #schema(type: ts.Type, name: string): Schema {
    const alias = type.aliasSymbol
    if (!alias || !isOfDomain(alias) || type.aliasTypeArguments) return this.#inline(type, name)
    if (!this.#definitions.has(alias.name)) {
      this.#definitions.set(alias.name, null)
      const comment = commentOf(alias, this.#checker)
      const described = comment ? { description: comment } : {}
      this.#definitions.set(alias.name, { ...described, ...this.#inline(type, name) })
    }
    return { $ref: `#/$defs/${alias.name}` }
  }

  #inline(type: ts.Type, name: string): Schema {
    if (type.isUnion()) return this.#union(type, name)
    if (type.isStringLiteral()) return { const: type.value }
    if (type.flags & ts.TypeFlags.Null) return { type: 'null' }
    if (type.flags & ts.TypeFlags.String) return textSchema(name)
    if (type.flags & ts.TypeFlags.Number) return { type: 'number' }
    if (type.flags & ts.TypeFlags.Boolean) return { type: 'boolean' }
    if (this.#checker.isTupleType(type)) throw new Error(`${name}: tuples have no schema yet`)
    if (this.#checker.isArrayType(type)) return this.#array(type, name)
    if (type.flags & ts.TypeFlags.Object) return this.#object(type, name)
    throw new Error(`${name}: ${this.#checker.typeToString(type)} has no place in an event`)
  }

  #array(type: ts.Type, name: string): Schema {
    const [item] = this.#checker.getTypeArguments(type as ts.TypeReference)
    if (!item) throw new Error(`${name}: an array of nothing`)
    return { type: 'array', items: this.#schema(item, name) }
  }

  #union(type: ts.UnionType, name: string): Schema {
    const literals = type.types.filter((member) => member.isStringLiteral())
    const isBoolean = type.types.some((member) => member.flags & ts.TypeFlags.BooleanLiteral)
    // Undefined is how the compiler says that a member may be absent.
    const apart = ts.TypeFlags.BooleanLiteral | ts.TypeFlags.Undefined
    const others = type.types.filter(
      (member) => !member.isStringLiteral() && !(member.flags & apart),
    )
    const schemas = others.map((member) => this.#schema(member, name))
    if (literals.length > 0) schemas.unshift({ enum: literals.map(({ value }) => value).sort() })
    if (isBoolean) schemas.unshift({ type: 'boolean' })
    const [only] = schemas
    if (only && schemas.length === 1) return only
    // The compiler's own order depends on what it met first.
    return {
      anyOf: schemas
        .map((schema) => JSON.stringify(schema))
        .sort()
        .map(parseSchema),
    }
  }

  #object(type: ts.Type, name: string): Schema {
    const [index] = this.#checker.getIndexInfosOfType(type)
    const properties = this.#checker.getPropertiesOfType(type)
    if (index) return { type: 'object', additionalProperties: this.#schema(index.type, name) }
    const isOptional = (property: ts.Symbol) => property.flags & ts.SymbolFlags.Optional
    return {
      type: 'object',
      properties: Object.fromEntries(properties.map((property) => this.#property(property))),
      required: properties.filter((property) => !isOptional(property)).map(({ name }) => name),
      additionalProperties: false,
    }
  }

  #property(property: ts.Symbol): readonly [string, Schema] {
    const schema = this.#schema(this.#checker.getTypeOfSymbol(property), property.name)
    const comment = commentOf(property, this.#checker)
    return [property.name, comment ? { description: comment, ...schema } : schema]
  }
}

function parseSchema(text: string): Schema {
  return JSON.parse(text) as Schema
}

function membersOf(type: ts.Type): readonly ts.Type[] {
  return type.isUnion() ? type.types : [type]
}

function isOfDomain(symbol: ts.Symbol): boolean {
  const file = symbol.declarations?.[0]?.getSourceFile().fileName
  return file?.startsWith(`${root}domain/`) ?? false
}

function commentOf(symbol: ts.Symbol | undefined, checker: ts.TypeChecker): string {
  const parts = symbol?.getDocumentationComment(checker) ?? []
  return ts
    .displayPartsToString([...parts])
    .replace(/\s+/g, ' ')
    .trim()
}
