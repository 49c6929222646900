import type { Clock } from '../domain/ports/clock.ts'
import { ObjectMissing } from '../domain/ports/object-store.ts'
import type { ObjectStore } from '../domain/ports/object-store.ts'
import { isUploadId, uploadKey, uploadUsableUntil } from '../domain/upload/upload-key.ts'
import type { OpenedInput } from './handlers/handler.ts'
import { JobError } from './job-error.ts'

/** Fetches a URL that a customer named, through the guarded client. @throws JobError */
export type Download = (url: string, signal: AbortSignal) => Promise<OpenedInput>

export type InputSources = {
  readonly objects: ObjectStore
  readonly download: Download
  readonly clock: Clock
}

const dataUrl = /^data:([a-z0-9.+-]+\/[a-z0-9.+-]+)?(;base64)?,/i

/** Opens an upload id, an https URL or a data URL. @throws JobError that names what is wrong */
export async function openInput(
  { objects, download, clock }: InputSources,
  orgId: string,
  ref: string,
  signal: AbortSignal,
): Promise<OpenedInput> {
  const data = dataUrl.exec(ref)
  if (data) return openDataUrl(ref, data)
  if (!isUploadId(ref)) return download(ref, signal)
  if (uploadUsableUntil(ref) <= clock.now()) throw unusable('The upload is older than 24 hours.')
  try {
    const { object, body } = await objects.get(uploadKey(orgId, ref))
    return { contentType: object.contentType, bytes: object.bytes, body }
  } catch (error) {
    if (error instanceof ObjectMissing) throw unusable('There is no such upload.')
    throw error
  }
}

function openDataUrl(ref: string, [head, contentType, base64]: RegExpExecArray): OpenedInput {
  const text = ref.slice(head.length)
  const bytes = base64 ? Buffer.from(text, 'base64') : Buffer.from(decodeURIComponent(text))
  async function* body() {
    yield bytes
  }
  return { contentType: contentType ?? 'text/plain', bytes: bytes.length, body: body() }
}

function unusable(message: string): JobError {
  return new JobError({ code: 'invalid_input', message, retryable: false })
}
