/**
 * Submits one job and follows it to its end, over a connection that may break as often as it likes.
 *
 *   WEIR_URL=http://127.0.0.1:3000 WEIR_API_KEY=weir_live_… node dist/examples/submit-and-watch.js
 *
 * In a program of yours: import { Weir } from 'weir-client'
 */
import { Weir } from '../client/weir.ts'

const { WEIR_URL: baseUrl = 'http://127.0.0.1:3000', WEIR_API_KEY: apiKey = '' } = process.env
const weir = new Weir({ baseUrl, apiKey })

const { jobId, credits } = await weir.submit({
  type: 'sandbox.run',
  input: { steps: 3, stepMs: 100 },
})
console.log(`submitted ${jobId}, holds ${credits.held} micro-credits`)

for await (const { revision, type } of weir.watch(jobId)) console.log(`#${revision} ${type}`)

const { data } = await weir.result(jobId)
console.log(`result ${new TextDecoder().decode(data)}`)

const { status, credits: paid } = await weir.job(jobId)
console.log(`${status}, charged ${paid.charged} micro-credits`)
