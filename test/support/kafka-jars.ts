import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { kafkaVersion } from './kafka-settings.ts'

const name = `kafka-${kafkaVersion}`
const downloadMs = 300_000

/** In the repository first; then where a fresh clone finds what an older one has fetched. */
const caches = [
  fileURLToPath(new URL('../../.cache', import.meta.url)),
  join(homedir(), '.cache', 'weir-test'),
].map((cache) => join(cache, name))

/** True when the broker's program is here already. */
export function areKafkaJarsHere(): boolean {
  return caches.some((folder) => existsSync(folder))
}

/** The folder of Apache Kafka's jars, fetched from Maven Central when it is not here yet. */
export async function kafkaJars(): Promise<string> {
  const here = caches.find((folder) => existsSync(folder))
  if (here !== undefined) return here
  const [first = '', ...others] = caches
  await putInto(first, fetchJars)
  for (const other of others) {
    // Only a favour to the next clone: a home that cannot be written to is no failure.
    await putInto(other, (folder) => cp(first, folder, { recursive: true })).catch(() => undefined)
  }
  return first
}

/** Fills a folder beside its place, then puts it there: it is whole or not there. */
async function putInto(place: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const unfinished = `${place}.${process.pid}`
  await mkdir(dirname(place), { recursive: true })
  await rm(unfinished, { recursive: true, force: true })
  try {
    await fill(unfinished)
    await rename(unfinished, place).catch((error: unknown) => {
      // Another process was faster.
      if (!existsSync(place)) throw error
    })
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>weir.test</groupId>
  <artifactId>kafka-broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${kafkaVersion}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
`

async function fetchJars(folder: string): Promise<void> {
  await mkdir(folder)
  await writeFile(join(folder, 'pom.xml'), pom)
  const copy = ['dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=.']
  await promisify(execFile)('mvn', ['-q', '-B', ...copy], { cwd: folder, timeout: downloadMs })
}
