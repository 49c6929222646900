import { relative } from 'node:path'
import { localUrl, type Config } from '../config.ts'
import { devFilePath, type DevFile } from './dev-file.ts'

/** What a user sees when everything is up; the curl works as it is pasted. */
export function welcome(config: Config, dev: DevFile | undefined): string {
  const url = localUrl(config.host, config.port)
  const key = dev?.apiKey ?? '<your API key>'
  const file = devFilePath(config.home)
  const shown = relative(process.cwd(), file)
  const keyLine = dev ? [`  Key  ${key}`, `       (and more in ${shown})`] : []
  return [
    '',
    'weir is ready.',
    '',
    `  URL  ${url}/`,
    ...keyLine,
    ...(config.logFolder ? [`  Logs ${relative(process.cwd(), config.logFolder)}/`] : []),
    '',
    ...curl(config, url, key),
    '',
  ].join('\n')
}

function curl(config: Config, url: string, key: string): string[] {
  const authorization = `  -H 'Authorization: Bearer ${key}'`
  if (!config.isSandboxOn) return [`curl -s ${url}/v1/balance \\`, authorization]
  return [
    `curl -s ${url}/v1/jobs \\`,
    `${authorization} \\`,
    `  -H 'Content-Type: application/json' -H 'Prefer: wait=10' \\`,
    `  -d '{"type":"sandbox.run","input":{"steps":3,"stepMs":300}}'`,
  ]
}
