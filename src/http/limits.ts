/** Largest upload, bytes. Job types may take less. */
export const uploadBytesMax = 100_000_000
