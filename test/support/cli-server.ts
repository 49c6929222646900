import { afterEach, beforeEach } from '@jest/globals'
import { playReplies } from './scripted-server.ts'
import type { Reply, ScriptedServer } from './scripted-server.ts'

/** For commands of the terminal: a key, and a server that plays the replies below a path. */
export function useCliServer() {
  const before = { ...process.env }
  let server: ScriptedServer | undefined
  beforeEach(() => {
    process.env['WEIR_API_KEY'] = 'weir_live_key'
  })
  afterEach(async () => {
    process.env = { ...before }
    await server?.close()
  })
  return async (path: string, ...replies: readonly Reply[]): Promise<ScriptedServer> => {
    server = await playReplies(...replies)
    process.env['WEIR_URL'] = `${server.url}${path}`
    return server
  }
}
