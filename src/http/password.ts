import { scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { DomainError } from '../../domain/errors.ts'
import { Turns } from '../../domain/turns.ts'

const derive = promisify<string, Uint8Array, number, object, Buffer>(scrypt)

// One of OWASP's choices: 32 MB and about 0.2 s per try. Its first one takes 128 MB, which a few
// tries at the same time would turn into an outage.
const cost = { N: 2 ** 15, r: 8, p: 3 }
const memoryBytesMax = 64 * 1024 * 1024
const keyBytes = 32
export const saltBytes = 16

const hashPattern = /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([\w-]{22})\$([\w-]{43})$/

/** What is kept of a password. @param salt unpredictable bytes */
export async function passwordHash(password: string, salt: Uint8Array): Promise<string> {
  const key = await derive(password.normalize('NFC'), salt, keyBytes, {
    ...{ ...cost, maxmem: memoryBytesMax },
  })
  const { N, r, p } = cost
  const texts = [salt, key].map((bytes) => Buffer.from(bytes).toString('base64url'))
  return ['scrypt', N, r, p, ...texts].join('$')
}

/** The hash of no password: a try for a person who is not known takes as long as any other. */
const nobodysHash = `scrypt$${cost.N}$${cost.r}$${cost.p}$${'A'.repeat(22)}$${'A'.repeat(43)}`

/** Tries of this process that wait for their turn; more are turned away. */
const waitingMax = 12
// Each try has one of Node's four threads for itself, which files and names of hosts need as well:
// with thirty at a time on two cores nothing else was read for 15 s.
const turns = new Turns(1)
let waiting = 0

/**
 * Whether it is the password whose hash was kept; null for nobody's, which none is. Tries are made
 * one after another.
 *
 * @throws DomainError `unavailable` when too many wait
 */
export async function isPassword(password: string, kept: string | null): Promise<boolean> {
  if (waiting >= waitingMax) {
    throw new DomainError('unavailable', 'Many passwords are being looked at right now.')
  }
  waiting += 1
  try {
    return await turns.take(() => isSamePassword(password, kept))
  } finally {
    waiting -= 1
  }
}

async function isSamePassword(password: string, kept: string | null): Promise<boolean> {
  const [, N, r, p, salt = '', expected = ''] = hashPattern.exec(kept ?? nobodysHash) ?? []
  const options = { N: Number(N), r: Number(r), p: Number(p), maxmem: memoryBytesMax }
  const saltAt = Buffer.from(salt, 'base64url')
  const key = await derive(password.normalize('NFC'), saltAt, keyBytes, options)
  const isSame = timingSafeEqual(key, Buffer.from(expected, 'base64url'))
  return isSame && kept !== null
}
