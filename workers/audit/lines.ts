/** Longest line, bytes: an event has 32 KB, and escapes make it longer. */
const lineBytesMax = 4_000_000

/** The lines of the file; null for one that is not UTF-8, or longer than any can be. */
export async function* linesOf(
  file: AsyncIterable<Uint8Array>,
): AsyncGenerator<string | null, void> {
  let rest: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of file) {
    let from = 0
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      yield textOf([...rest, chunk.subarray(from, at)])
      ;[rest, bytes, from] = [[], 0, at + 1]
    }
    rest.push(chunk.subarray(from))
    bytes += chunk.length - from
    if (bytes > lineBytesMax) {
      yield null
      return
    }
  }
  // Every line has its end: what follows the last one is a torn line.
  if (bytes > 0) yield null
}

function textOf(parts: readonly Uint8Array[]): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(parts))
  } catch {
    return null
  }
}
