import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'

const prefix = 'sealed:'
const nonceBytes = 12
const tagBytes = 16

const keyOf = (secretKey: Uint8Array): Buffer =>
  createHmac('sha256', secretKey).update('sealed-answers').digest()

/** Encrypts a text that must not lie in the database as it is (AES-256-GCM). */
export function seal(text: string, secretKey: Uint8Array): string {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', keyOf(secretKey), nonce)
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return prefix + Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64')
}

/** Gives back what was sealed; a text that was not sealed stays as it is. */
export function unseal(text: string, secretKey: Uint8Array): string {
  if (!text.startsWith(prefix)) return text
  const bytes = Buffer.from(text.slice(prefix.length), 'base64')
  const decipher = createDecipheriv('aes-256-gcm', keyOf(secretKey), bytes.subarray(0, nonceBytes))
  decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
  const body = bytes.subarray(nonceBytes + tagBytes)
  return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8')
}
