import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { openApiMetrics } from '../../../src/metrics/api.ts'
import { LogCounters } from '../../../src/metrics/log-counters.ts'
import { openMetrics } from '../../../src/metrics/metrics.ts'
import { openProjectorMetrics } from '../../../src/metrics/projector.ts'
import { openWorkerMetrics } from '../../../src/metrics/worker.ts'
import { root } from '../../support/repository.ts'

// Dashboard and alert rules ask for series that weir has; no Prometheus runs them in the tests.

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string }
}

interface Dashboard {
  readonly panels: readonly {
    readonly id: number
    readonly title: string
    readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[]
    readonly fieldConfig: {
      readonly defaults: { readonly unit: string }
      readonly overrides: readonly {
        readonly matcher: { readonly options: string }
        readonly properties: readonly { readonly value: string }[]
      }[]
    }
  }[]
}

const ops = (path: string): string => readFileSync(join(root, 'infra/ops', path), 'utf8')
const { groups } = parse(ops('prometheus/alerts.yml')) as {
  groups: readonly { readonly rules: readonly Rule[] }[]
}
const prometheus = parse(ops('prometheus/prometheus.yml')) as {
  readonly rule_files: readonly string[]
  readonly scrape_configs: readonly { readonly job_name: string }[]
}
const rules = groups.flatMap((group) => group.rules)
const { panels } = JSON.parse(ops('grafana/dashboards/weir.json')) as Dashboard
const asked = [
  ...rules.map(({ alert, expr }) => ({ by: alert, expr })),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ by: title, expr }))),
]

/** Labels that Prometheus gives, and functions of its language among words. */
const notOurs = /^(up|le|job|instance)$/
const known = new Map<string, ReadonlySet<string>>()

beforeAll(async () => {
  const metrics = openMetrics('api', '1')
  const { series } = metrics
  const never = () => Promise.reject(new Error('nobody is there'))
  openApiMetrics(series)
  const running = () => 0
  openWorkerMetrics(series, { jobTypes: ['a'], concurrency: 1, running })
  openProjectorMetrics(series, {
    ...{ jobTypes: ['a'], consumers: ['a'], readStand: never, readCarriage: never },
    now: () => 0,
  })
  new LogCounters(series, { jobTypes: ['a'], compare: () => 0, findJobs: never })
  const described = readFileSync(join(root, 'docs/reference/metrics.md'), 'utf8')
  for (const [, name = '', type] of (await series.text()).matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
    const row = described.split('\n').find((line) => line.startsWith(`| \`${name}\``)) ?? ''
    const labels = new Set([...(row.split('|')[3] ?? '').matchAll(/`(\w+)`/g)].map(([, it]) => it!))
    known.set(name, labels)
    if (type !== 'histogram') continue
    for (const end of ['bucket', 'sum', 'count']) known.set(`${name}_${end}`, labels)
  }
})

test.each(asked)('$by asks for series that are there', ({ expr }) => {
  const names = expr.match(/\b(weir|http_server|process|nodejs)_\w+|\bup\b/g) ?? []
  expect(names.length).toBeGreaterThan(0)
  expect(names.filter((name) => !known.has(name) && !notOurs.test(name))).toEqual([])
  const grouped = [...expr.matchAll(/\bby \(([^)]+)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((label) => label.trim()),
  )
  const matched = [...expr.matchAll(/[{,](\w+)=~?"/g)].map(([, label = '']) => label)
  const labels = new Set(names.flatMap((name) => [...(known.get(name) ?? [])]))
  const unknown = [...grouped, ...matched].filter((it) => !labels.has(it) && !notOurs.test(it))
  expect(unknown).toEqual([])
  expect(expr.split('(').length).toBe(expr.split(')').length)
})

test('every alert says how bad it is and what it means, under a name of its own', () => {
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  for (const { labels, annotations } of rules) {
    expect(['critical', 'warning', 'info']).toContain(labels.severity)
    expect(annotations.summary).toMatch(/^\S.+[.?]$/)
  }
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
})

test.each(panels)('$title shows times as times, and rates as rates', (panel) => {
  const { defaults, overrides } = panel.fieldConfig
  for (const { expr, legendFormat } of panel.targets) {
    // Grafana matches the whole name.
    const isOwn = (name: string) => new RegExp(`^${name}$`).test(legendFormat)
    const own = overrides.find(({ matcher }) => isOwn(matcher.options))
    const unit = own?.properties[0]?.value ?? defaults.unit
    if (expr.startsWith('histogram_quantile')) expect(unit).toBe('s')
    else if (expr.includes('(rate(')) expect(unit).toMatch(/^(req|o)ps$/)
  }
})

test('a role of which nothing is left is down too', () => {
  const { expr } = rules.find(({ alert }) => alert === 'WeirRoleIsDown') ?? { expr: '' }
  const jobs = prometheus.scrape_configs.map(({ job_name: job }) => job)
  expect(jobs.filter((job) => job.startsWith('weir-'))).toHaveLength(3)
  for (const job of jobs) expect(expr).toContain(`absent(up{job="${job}"})`)
})

test('Prometheus and Grafana are given the files', () => {
  const { rule_files: files } = prometheus
  const { providers } = parse(ops('grafana/provisioning/dashboards/weir.yml')) as {
    providers: readonly { readonly options: { readonly path: string } }[]
  }
  const compose = readFileSync(join(root, 'docker-compose.yml'), 'utf8')
  expect(compose).toContain(`./infra/ops/prometheus/alerts.yml:${files[0]}:ro`)
  expect(compose).toContain(`./infra/ops/grafana/dashboards:${providers[0]?.options.path}:ro`)
})
