import { S3ServiceException } from '@aws-sdk/client-s3'
import { EngineRefusal } from '../../domain/ports/engine-refusal.ts'
import { ObjectStoreUnavailable } from '../../domain/ports/object-store.ts'

/** S3 refuses the request: missing rights, no such bucket, wrong credentials. */
export class S3Refusal extends EngineRefusal {
  override readonly name = 'S3Refusal'
}

const temporaryStatuses = new Set([408, 429])

/** Whether S3 says that there is no such object. A HEAD cannot say what of it is missing. */
export function isMissing(error: unknown): boolean {
  return hasName(error, 'NoSuchKey') || hasName(error, 'NotFound')
}

/** Whether a condition on the ETag of the object does not hold. */
export function isReplaced(error: unknown): boolean {
  return hasName(error, 'PreconditionFailed')
}

/** Whether S3 says that the multipart upload is over, whichever way it ended. */
export function isUploadOver(error: unknown): boolean {
  return hasName(error, 'NoSuchUpload')
}

/** Whether S3 says that there is no such bucket. */
export function isBucketMissing(error: unknown): boolean {
  return hasName(error, 'NoSuchBucket') || hasName(error, 'NotFound')
}

/** Whether another process has made the bucket in the same moment. */
export function isBucketThere(error: unknown): boolean {
  return hasName(error, 'BucketAlreadyOwnedByYou')
}

/** Whether the server does not know that operation at all. */
export function isUnknownOperation(error: unknown): boolean {
  return hasName(error, 'NotImplemented') || hasName(error, 'MethodNotAllowed')
}

/**
 * Runs one operation of S3. Of an error of the driver only what a person needs is passed on: its
 * objects hold whole requests, with their signatures.
 *
 * @throws ObjectStoreUnavailable, S3Refusal
 */
export async function orSentence<T>(what: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation
  } catch (error) {
    throw sentenceOf(what, error)
  }
}

/** The same for the bytes of an answer, which may break off. */
export async function* orSentences(
  what: string,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (error) {
    throw sentenceOf(what, error)
  }
}

/** The error as it may leave this folder. */
export function sentenceOf(what: string, error: unknown): Error {
  if (!(error instanceof S3ServiceException)) {
    return new ObjectStoreUnavailable(`${what}: ${reasonOf(error)}`)
  }
  const { httpStatusCode: status = 500, requestId } = error.$metadata
  const request = requestId === undefined ? '' : `, request ${requestId}`
  const sentence = `${what}: ${error.name} (${status}${request}) ${error.message}`
  const isTemporary = status >= 500 || temporaryStatuses.has(status)
  return isTemporary
    ? new ObjectStoreUnavailable(sentence)
    : new S3Refusal(`S3 refuses to ${sentence}`)
}

/** Of several failed addresses of one host the message is empty; the code says it all. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.message !== '') return error.message
  return 'code' in error ? String(error.code) : error.name
}

function hasName(error: unknown, name: string): boolean {
  return error instanceof S3ServiceException && error.name === name
}
