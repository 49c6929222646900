import { startStandIn } from './stand-in.ts'

// A stand-in as a process of its own:  node main.js <port> [file of the log]

const [port = '2113', file] = process.argv.slice(2)
const standIn = await startStandIn({ port: Number(port), ...(file === undefined ? {} : { file }) })
process.stdout.write(`stand-in for EventStoreDB at ${standIn.url}\n`)

process.on('SIGTERM', () => void standIn.stop())
