import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePorts } from './free-ports.ts'
import { kafkaJars } from './kafka-jars.ts'
import { nodeSettings, type KafkaBroker } from './kafka-settings.ts'
import type { RunPlace } from './once-in-run.ts'
import { testCertificate, testCertificateKey } from './test-certificate.ts'
import { killWatched, startWatched } from './watched-process.ts'

/** The broker that Java runs has a second door. */
export type JavaBroker = KafkaBroker & {
  /** TLS with the certificate of the tests, and a login. */
  readonly secured: string
}

/** Who may come in through it, by PLAIN or SCRAM-SHA-512. */
export const brokerLogin = { username: 'weir', password: 'let us in' }

/** For programs that do little: they should start fast. */
const javaFlags = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

/** A real Apache Kafka of one node, run by this machine's Java. It is not started yet. */
export async function javaBroker({ folder, ownerPid }: RunPlace): Promise<JavaBroker> {
  const jars = `${await kafkaJars()}/*`
  const port = await freePorts(3)
  const [data, properties] = [join(folder, 'data'), join(folder, 'server.properties')]
  await mkdir(folder, { recursive: true })
  await writeFile(properties, propertiesText(port, data))
  const format = async (): Promise<void> => {
    // The format tool takes what begins with a dash for an option.
    const id = `w${randomBytes(16).toString('base64url').slice(1)}`
    const tool = [...javaFlags, '-cp', jars, 'kafka.tools.StorageTool', 'format', '--standalone']
    const { username, password } = brokerLogin
    const user = `SCRAM-SHA-512=[name=${username},password=${password}]`
    await promisify(execFile)('java', [...tool, '-t', id, '-c', properties, '--add-scram', user])
  }
  let group: number | null = null
  const kill = async (): Promise<void> => {
    if (group !== null) await killWatched(group)
    group = null
  }
  await format()
  return {
    brokers: `127.0.0.1:${port}`,
    secured: `127.0.0.1:${port + 2}`,
    start: async () => {
      const command = ['java', '-Xmx512m', ...javaFlags, '-cp', jars, 'kafka.Kafka', properties]
      group = startWatched({ command, env: {}, ownerPid, log: join(folder, 'broker.log') })
      await writeFile(join(folder, 'group.pid'), String(group))
    },
    kill,
    wipe: async () => {
      await rm(data, { recursive: true, force: true })
      await format()
    },
    stop: async () => {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function propertiesText(port: number, data: string): string {
  const broker = `PLAINTEXT://127.0.0.1:${port},SASL_SSL://127.0.0.1:${port + 2}`
  const controller = `127.0.0.1:${port + 1}`
  const listen = `${broker},CONTROLLER://${controller}`
  const settings = {
    ...nodeSettings({ listen, advertised: broker, controller }),
    ...securitySettings(),
    'log.dirs': data,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

function securitySettings() {
  const { username, password } = brokerLogin
  const modules = 'org.apache.kafka.common.security'
  const user = `user_${username}="${password}"`
  const jaas = (mechanism: string): string => `listener.name.sasl_ssl.${mechanism}.sasl.jaas.config`
  const escaped = (pem: string): string => pem.trim().replaceAll('\n', '\\n')
  return {
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
    [jaas('plain')]: `${modules}.plain.PlainLoginModule required ${user};`,
    [jaas('scram-sha-512')]: `${modules}.scram.ScramLoginModule required;`,
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.certificate.chain': escaped(testCertificate),
    'ssl.keystore.key': escaped(testCertificateKey),
  }
}
