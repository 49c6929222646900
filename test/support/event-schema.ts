import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ValidateFunction } from 'ajv/dist/2020.js'
import type { DomainEvent } from '../../domain/decider.ts'

const ajv = new Ajv2020({ strict: true, strictTypes: false, validateFormats: false })
const validators = new Map<string, ValidateFunction>()

/** @throws when the event, as JSON, is not what docs/events says: nothing else may be stored */
export function assertStorable(event: DomainEvent): void {
  const validate = validatorOf(event.type)
  if (validate(JSON.parse(JSON.stringify(event)))) return
  throw new Error(`${event.type} does not fit its schema: ${ajv.errorsText(validate.errors)}`)
}

function validatorOf(type: string): ValidateFunction {
  const known = validators.get(type)
  if (known) return known
  const path = new URL(`../../docs/events/${type}.schema.json`, import.meta.url)
  const validate = ajv.compile(JSON.parse(readFileSync(path, 'utf8')) as object)
  validators.set(type, validate)
  return validate
}
