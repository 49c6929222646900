/** Something that must hold and does not. */
export type Violation = {
  /** `I1` to `I15`, as docs/explanation/architecture.md lists them. */
  readonly invariant: string
  /** The stream or object in which it shows. */
  readonly subject: string
  readonly detail: string
}

/** Told of a violation. */
export type Found = (invariant: string, subject: string, detail: string) => void
