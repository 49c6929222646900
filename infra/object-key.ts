const keyCharactersMax = 512
const segment = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/

/** The key is not made of safe names: a bug of the caller, who makes keys of ids and own names. */
export class InvalidObjectKey extends Error {
  override readonly name = 'InvalidObjectKey'
}

/** Whether every object store accepts the key: `/`-separated names of letters, digits, `._-`. */
export function isObjectKey(key: string): boolean {
  return key.length <= keyCharactersMax && key.split('/').every((part) => segment.test(part))
}

/** @throws InvalidObjectKey */
export function checkObjectKey(key: string): void {
  if (isObjectKey(key)) return
  throw new InvalidObjectKey(`not an object key: ${JSON.stringify(key.slice(0, 100))}`)
}
