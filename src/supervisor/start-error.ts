/** Why weir cannot start, in one sentence for the user; shown without a stack. */
export class StartError extends Error {
  override readonly name = 'StartError'
}
