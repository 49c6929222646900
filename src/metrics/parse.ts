import type { Sample } from '../../workers/invariants/counter-check.ts'

/** Reads what a metrics port says: the text format of Prometheus, as weir writes it. */
export function parseMetrics(text: string): readonly Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined || value === undefined) return []
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
    const named = pairs.map(([, label = '', text = '']) => [label, text] as const)
    return [{ name, labels: Object.fromEntries(named), value: Number(value) }]
  })
}
