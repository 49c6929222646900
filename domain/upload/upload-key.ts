import { assert } from '../assert.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** An upload URL takes its one PUT within this time. */
export const uploadUrlMs = 15 * minuteMs

/** An upload can be named in jobs for this long after its id was given out. */
export const uploadUsableMs = 24 * hourMs

/** The form of an upload id, for schemas: a UUIDv7 in lower case, as `Ids.next` gives. */
export const uploadIdPattern = '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'

const uuidV7 = new RegExp(`^${uploadIdPattern}$`)
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether the text has the form of an upload id. */
export function isUploadId(text: string): boolean {
  return uuidV7.test(text)
}

/**
 * The object that an upload becomes. Nothing else records an upload: it exists for the org when
 * this object exists, and another org's id leads to a key where nothing is.
 */
export function uploadKey(orgId: string, uploadId: string): string {
  assert(uuid.test(orgId), 'orgId is a UUID')
  assert(isUploadId(uploadId), 'uploadId is a UUIDv7')
  return `uploads/${orgId}/${uploadId}`
}

/** When the upload stops being usable (ms since the epoch), read from the time in its id. */
export function uploadUsableUntil(uploadId: string): number {
  assert(isUploadId(uploadId), 'uploadId is a UUIDv7')
  const createdAt = Number.parseInt(uploadId.slice(0, 8) + uploadId.slice(9, 13), 16)
  return createdAt + uploadUsableMs
}
