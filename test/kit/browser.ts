// A real browser for the dashboard: Debian's Chromium, driven by playwright-core, with what went wrong on its pages, and what axe-core finds there.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import axe from 'axe-core'
import { type BrowserContext, type Page, chromium } from 'playwright-core'
import { later } from './cleanup.ts'

const executablePath = '/usr/bin/chromium'

/** Why the lane cannot run here; undefined: it can. */
export const noBrowser = existsSync(executablePath) ? undefined : `there is no ${executablePath}: apt-get install chromium`

/** Nothing that asks the internet, and nothing of another run. */
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
]

export type Browser = {
  readonly page: Page
  /** What its console called an error, what was thrown, and what could not be loaded. */
  readonly problems: string[]
}

export type BrowserSettings = { readonly theme?: 'light' | 'dark'; readonly width?: number; readonly height?: number }

/** A browser of its own, with one page; it ends with the test. */
export async function openBrowser({ theme = 'light', width = 1_280, height = 800 }: BrowserSettings = {}): Promise<Browser> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-browser-'))
  later(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const context: BrowserContext = await chromium.launchPersistentContext(folder, {
    executablePath,
    args,
    headless: true,
    colorScheme: theme,
    viewport: { width, height },
    reducedMotion: 'reduce',
    timezoneId: 'UTC',
    locale: 'en-GB',
  })
  later(() => context.close())
  const page = context.pages()[0]!
  const problems: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => problems.push(`thrown: ${error.message}`))
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? ''
    if (why !== 'net::ERR_ABORTED') problems.push(`not loaded: ${request.url()}: ${why}`) // aborted: the page let go of it
  })
  return { page, problems }
}

/** What is serious or critical of what axe-core finds on the page as it is now, by all its rules or by these. */
export async function seriousFindings(page: Page, rules?: readonly string[]): Promise<string[]> {
  if (!(await page.evaluate('"axe" in globalThis'))) await page.evaluate(axe.source) // not a script tag: the page's policy lets none in
  const settings = { resultTypes: ['violations'], ...(rules ? { runOnly: rules } : {}) }
  const { violations } = await page.evaluate<axe.AxeResults>(`axe.run(document, ${JSON.stringify(settings)})`)
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)}: ${failureSummary ?? ''}`))
}
