/** What a signed URL permits, once its signature is checked. Times in ms since the epoch. */
export type ObjectPermit =
  | {
      readonly method: 'GET'
      readonly key: string
      readonly expiresAt: number
      readonly downloadName: string | null
    }
  | {
      readonly method: 'PUT'
      readonly key: string
      readonly expiresAt: number
      readonly contentType: string
      readonly bytes: number
    }

/** The outcome of checking a signed URL; `reason` is a sentence for the person who called it. */
export type PermitCheck =
  | { readonly ok: true; readonly permit: ObjectPermit }
  | { readonly ok: false; readonly reason: string }
