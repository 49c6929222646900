/** Series by name and labels, as Prometheus writes them. */
export type Samples = ReadonlyMap<string, number>

/** What the processes behind these metrics ports count together. */
export async function readMetrics(...ports: readonly number[]): Promise<Samples> {
  const sums = new Map<string, number>()
  for (const port of ports) {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`)
    for (const line of (await response.text()).split('\n')) {
      const at = line.lastIndexOf(' ')
      if (line.startsWith('#') || at < 0) continue
      const name = line.slice(0, at)
      sums.set(name, (sums.get(name) ?? 0) + Number(line.slice(at + 1)))
    }
  }
  return sums
}
