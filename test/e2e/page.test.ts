import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { startWeir } from '../support/weir.ts'

const browserPath = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium'
const hasBrowser = existsSync(browserPath)
/** `PAGE_IMAGE=docs/images/page.png npm run jest -- test/e2e/page.test.ts` renews the picture. */
const imagePath = process.env['PAGE_IMAGE']
const limitMs = 60_000

const browserFlags = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Chromium's sandbox refuses to run as root, as in most containers.
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
]

if (!hasBrowser) {
  const missing = `The page was NOT tested: no browser at ${browserPath} (set CHROMIUM_PATH).`
  if (process.env['CI'] === 'true') throw new Error(missing)
  process.stderr.write(`\n${missing}\n\n`)
}

const describeWithBrowser = hasBrowser ? describe : describe.skip

describeWithBrowser('the page', () => {
  let weir: Awaited<ReturnType<typeof startWeir>> | undefined
  let browser: Browser | undefined
  let page: Page
  let complaints: string[] = []

  beforeAll(async () => {
    weir = await startWeir()
    browser = await chromium.launch({ executablePath: browserPath, args: browserFlags })
  }, limitMs)

  afterAll(async () => {
    await browser?.close()
    await weir?.stop()
  }, limitMs)

  const visit = async (viewport = { width: 1440, height: 1000 }) => {
    const context = await browser!.newContext({ viewport, colorScheme: 'light' })
    page = await context.newPage()
    page.setDefaultTimeout(limitMs / 2)
    complaints = []
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (line) => {
      if (line.type() === 'error' || line.type() === 'warning') complaints.push(line.text())
    })
    return context
  }
  const settled = () => page.getByText('Settled', { exact: true }).waitFor()
  const shownEvents = () => page.locator('#timeline .event-name').allInnerTexts()
  const naturalWidth = async (id: string) =>
    Number(await page.evaluate(`document.getElementById('${id}').naturalWidth`))
  const upscaleSample = async () => {
    await page.goto(weir!.baseUrl)
    await page.getByRole('button', { name: 'Use the sample photo' }).click()
    await page.getByRole('button', { name: 'Upscale ×4' }).click()
    await settled()
  }

  test(
    'upscales the sample, and shows the result, the events and the cost',
    async () => {
      const context = await visit()
      await upscaleSample()

      expect(await shownEvents()).toEqual([
        expect.stringMatching(/^job\.queued\s*#0$/),
        expect.stringMatching(/^job\.started\s*#1$/),
        expect.stringMatching(/^job\.step_completed\s*#2$/),
        expect.stringMatching(/^job\.succeeded\s*#3$/),
      ])
      expect(await naturalWidth('after')).toBe(4 * (await naturalWidth('before')))
      expect(Number(await page.locator('#charged').innerText())).toBeGreaterThan(0)
      await page.getByText('The balance is down by exactly what was metered.').waitFor()
      expect(await page.locator('.usage tbody tr').count()).toBe(1)
      const download = page.waitForEvent('download')
      await page.getByRole('link', { name: 'Download' }).click()
      expect((await download).suggestedFilename()).toBe('photo-4x.jpg')
      expect(complaints).toEqual([])
      if (imagePath !== undefined) await takePicture(page, imagePath)
      await context.close()
    },
    limitMs,
  )

  test(
    'takes up the job that its address names after a reload, with every event once',
    async () => {
      const context = await visit()
      await upscaleSample()
      const before = await shownEvents()
      await page.reload()
      await settled()
      expect(await shownEvents()).toEqual(before)
      expect(await naturalWidth('after')).toBe(4 * (await naturalWidth('before')))
      expect(complaints).toEqual([])
      await context.close()
    },
    limitMs,
  )

  test(
    'keeps the picture for a reload while another tab runs a job of its own',
    async () => {
      const context = await visit()
      await upscaleSample()
      const first = page
      page = await context.newPage()
      await upscaleSample()
      page = first
      await page.reload()
      await settled()
      expect(await naturalWidth('before')).toBeGreaterThan(0)
      await context.close()
    },
    limitMs,
  )

  test(
    'gets what it missed, in order, when its connection comes back',
    async () => {
      const context = await visit()
      let isCut = false
      await page.routeWebSocket(/\/v1\/socket/, (socket) => {
        const server = socket.connectToServer()
        server.onMessage((message) => {
          if (isCut || !String(message).includes('job.started')) {
            socket.send(message)
            return
          }
          isCut = true
          void server.close()
          void socket.close()
        })
      })
      await upscaleSample()
      await page.getByText(/^Back after/).waitFor()
      expect((await shownEvents()).map((text) => text.split('#')[1])).toEqual(['0', '1', '2', '3'])
      await context.close()
    },
    limitMs,
  )

  test(
    'offers to cancel once there is a job',
    async () => {
      const context = await visit()
      let upload = (): void => undefined
      const uploading = new Promise<void>((resolve) => (upload = resolve))
      await page.route('**/v1/uploads', async (route) => {
        await uploading
        await route.continue()
      })
      await page.goto(weir!.baseUrl)
      await page.getByRole('button', { name: 'Use the sample photo' }).click()
      await page.getByRole('button', { name: 'Upscale ×4' }).click()
      const cancel = page.getByRole('button', { name: 'Cancel' })
      await cancel.waitFor()
      expect(await cancel.isDisabled()).toBe(true)
      upload()
      await settled()
      expect(complaints).toEqual([])
      await context.close()
    },
    limitMs,
  )

  test(
    'offers to cancel again when weir was not reached or refused',
    async () => {
      const context = await visit()
      await page.routeWebSocket(/\/v1\/socket/, (socket) => {
        socket.connectToServer().onMessage((message) => {
          if (!String(message).includes('job.succeeded')) socket.send(message)
        })
      })
      await page.route('**/cancel', (route) => route.fulfill({ status: 403, body: '{}' }))
      await page.goto(weir!.baseUrl)
      await page.getByRole('button', { name: 'Use the sample photo' }).click()
      await page.getByRole('button', { name: 'Upscale ×4' }).click()
      const cancel = page.getByRole('button', { name: 'Cancel' })
      await cancel.click()
      await page.getByText('That did not work').waitFor()
      expect(await cancel.isEnabled()).toBe(true)
      await context.close()
    },
    limitMs,
  )

  test(
    'keeps the job in its address when somebody skips to the picture',
    async () => {
      const context = await visit()
      await upscaleSample()
      const address = page.url()
      expect(address).toContain('#')
      await page.locator('.skip').focus()
      await page.keyboard.press('Enter')
      expect(page.url()).toBe(address)
      expect(await page.evaluate('document.activeElement.id')).toBe('stage')
      await context.close()
    },
    limitMs,
  )

  test(
    'says why it does not take a file that is no picture',
    async () => {
      const context = await visit({ width: 360, height: 780 })
      await page.goto(weir!.baseUrl)
      const file = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no picture') }
      await page.locator('#file').setInputFiles(file)
      await page.getByText('“notes.txt” is text/plain').waitFor()
      const overflow = 'document.documentElement.scrollWidth - innerWidth'
      expect(Number(await page.evaluate(overflow))).toBeLessThanOrEqual(0)
      expect(complaints).toEqual([])
      await context.close()
    },
    limitMs,
  )

  test(
    'asks for an API key when the server gives no session, and works with it',
    async () => {
      const context = await visit()
      await page.route('**/v1/dev/session', (route) => route.fulfill({ status: 404, body: '{}' }))
      await page.goto(weir!.baseUrl)
      await page.getByLabel('API key').fill(weir!.dev.apiKey)
      await page.getByRole('button', { name: 'Use this key' }).click()
      await page.getByText('Available').first().waitFor()
      expect(await page.locator('#key-form').isHidden()).toBe(true)
      await context.close()
    },
    limitMs,
  )
})

/** The picture for the README: the finished job, the divider in the middle. */
async function takePicture(page: Page, path: string): Promise<void> {
  await page.locator('#split').fill('50')
  await page.mouse.move(0, 0)
  await mkdir(dirname(path), { recursive: true })
  await page.screenshot({ path, fullPage: true })
}
