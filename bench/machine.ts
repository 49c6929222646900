import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { cpus, loadavg, platform, release } from 'node:os'
import { join } from 'node:path'
import { median } from './statistics.ts'

const fsyncSamples = 50
const blockBytes = 8192

/** What a figure means nothing without. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly node: string
  readonly platform: string
  /** Median time to write 8 KB and have them on the disk that the databases use. */
  readonly fsyncMs: number
  readonly load: number
}

export function describeMachine(folder: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cores: cpus().length,
    node: process.version,
    platform: `${platform()} ${release()}`,
    fsyncMs: measureFsync(folder),
    load: loadavg()[0] ?? 0,
  }
}

function measureFsync(folder: string): number {
  const path = join(folder, 'fsync')
  const file = openSync(path, 'w')
  const block = Buffer.alloc(blockBytes, 1)
  const tookMs = Array.from({ length: fsyncSamples }, () => {
    const startedMs = performance.now()
    writeSync(file, block)
    fdatasyncSync(file)
    return performance.now() - startedMs
  })
  closeSync(file)
  rmSync(path)
  return median(tookMs)
}
