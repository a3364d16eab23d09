// The dashboard in a real browser, in front of the fleet of `fairlead demo`: what stands on each page is what the daemons answer, what is done there is seen from outside, and
// nobody is kept out: no error in the console, nothing serious for somebody with a screen reader, in light and dark.
import { mkdirSync, readFileSync } from 'node:fs'
import { cpus, hostname, release } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Locator } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { openLedger } from '../../src/base/ledger/ledger.ts'
import { gateCalls } from '../../src/gate/client.ts'
import { gateLedger } from '../../src/gate/watched-ledger.ts'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import type { Facts, Measured } from '../../src/web/machine/machine.ts'
import { percentText, sizeText } from '../../src/web/shown/amount.ts'
import { type Browser, noBrowser, openBrowser, seriousFindings } from '../kit/browser.ts'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { type RunningGate, gateFor, openSession, post, temporaryFolder } from '../gate/bed.ts'
import { handshake, handshakeBody } from '../gate/connector-bed.ts'
import { type TestFleet, pidsOn, startFleet } from './fleet.ts'

let fleet: TestFleet
let browser: Browser

type MachineInput = Parameters<TestFleet['machine']['look']>[0]

/** Where to leave a picture of each page, for a person to look at. */
const pictures = process.env['FAIRLEAD_PICTURES']
/** Times are told by a machine without other work. */
const isQuiet = process.env['FAIRLEAD_LONG'] === '1'
const pollMs = 20_000
const poll = { timeout: pollMs, interval: 100 } as const

describe.skipIf(noBrowser)(`the dashboard${noBrowser ? `: ${noBrowser}` : ''}`, () => {
  beforeAll(async () => {
    ;[fleet, browser] = await Promise.all([startFleet(), openBrowser()])
    keep()
  }, 90_000)
  afterEach(() => expect(browser.problems.splice(0), 'in the browser').toEqual([])) // before what the page looks at is taken away
  afterAll(cleanUp)

  const page = () => browser.page
  const go = async (name: string): Promise<void> => {
    await page().goto(`${fleet.dashboard}#/${name}`)
    await page()
      .getByRole('heading', { level: 1, name: new RegExp(`^${name}$`, 'i') })
      .waitFor()
  }
  const region = (name: string | RegExp): Locator => page().getByRole('region', { name })
  const number = async (tile: string): Promise<number> =>
    Number(
      await page()
        .locator('.tile', { has: page().getByText(tile, { exact: true }) })
        .locator('strong')
        .textContent(),
    )
  const port = (): { port: number } => ({ port: Number(new URL(fleet.dashboard).port) })
  const notes = (): string => new URL('/mcp/notes', fleet.dashboard).href

  test('the link of `fairlead demo` signs in, with few bytes', async () => {
    await page().goto(fleet.signIn)
    await page().getByRole('link', { name: 'Credentials' }).waitFor()
    expect(page().url()).toBe(`${fleet.dashboard}#/overview`)
    const bytes = await page().evaluate(() => {
      const all = [
        ...performance.getEntriesByType('navigation'),
        ...performance.getEntriesByType('resource'),
      ] as PerformanceResourceTiming[]
      return all.filter(({ name }) => !name.includes('/api/')).reduce((sum, { transferSize }) => sum + transferSize, 0)
    })
    expect(bytes).toBeGreaterThan(10_000)
    expect(bytes).toBeLessThan(200_000)
  })

  test('a page can be used within a second', async ({ skip }) => {
    skip(!isQuiet, 'not applicable: a time on a quiet machine; FAIRLEAD_LONG=1 runs it')
    const times: number[] = []
    for (let n = 0; n < 5; n++) {
      await page().reload({ waitUntil: 'commit' })
      const from = performance.now()
      await page().getByRole('link', { name: 'Credentials' }).click()
      await page().getByRole('heading', { level: 1, name: 'Credentials' }).waitFor()
      times.push(performance.now() - from)
    }
    expect(times.sort((one, other) => one - other)[2]).toBeLessThan(1_000)
  })

  test('overview: what needs a person is what the gate says', async () => {
    await go('overview')
    const told = async () => {
      const { sections } = await fleet.gate.status({})
      const lines = sections.flatMap((section) => section.lines)
      const troubles = lines.filter(({ standing }) => standing === 'bad' || standing === 'unknown').map(({ name }) => name)
      return { troubles, parts: sections.map(({ title }) => title) }
    }
    const shown = async () => ({
      troubles: await region('Needs you').locator('strong').allTextContents(),
      parts: await region('Parts').getByRole('heading', { level: 3 }).allTextContents(),
    })
    await expect.poll(async () => isDeepStrictEqual(await shown(), await told()), poll).toBe(true)
    expect((await shown()).troubles).toContain('service mail on garage') // what is wrong on purpose
  })

  test('calls: counts, what happens now, and the record with its proof', async () => {
    await go('calls')
    const sum = async (): Promise<number> =>
      (await fleet.gate['count-calls']({})).calls.reduce((all, { outcomes }) => all + Object.values(outcomes).reduce((a, b) => a + b, 0), 0)
    await expect
      .poll(async () => {
        const [before, shown, after] = [await sum(), await number('requests'), await sum()]
        return before > 0 && shown <= after && shown > before - 30 // asked every two seconds
      }, poll)
      .toBe(true)
    const feed = page().getByRole('table', { name: 'The newest calls' })
    await feed
      .getByRole('row', { name: /build-bot.*add_note.*no rule/ })
      .first()
      .waitFor({ timeout: pollMs })
    const record = region('The record')
    await record.getByLabel('Principal').fill('build-bot')
    await record.getByLabel('Outcome').selectOption('refused')
    await record.getByRole('button', { name: 'Search' }).click()
    const wanted = { principal: 'build-bot', outcome: 'refused' }
    await expect
      .poll(async () => {
        const shown = await record.getByRole('row').evaluateAll((rows) => rows.slice(1).map((row) => row.children[0]!.textContent))
        const { found } = await fleet.gate['search-calls'](wanted)
        const seqs = found.map(({ seq }) => String(seq))
        return shown.length > 0 && shown.every((seq) => seqs.includes(seq)) && seqs.slice(seqs.indexOf(shown[0]!)).join() === shown.join()
      }, poll)
      .toBe(true)
    await record.getByText('intact', { exact: false }).first().waitFor()
  })

  test('a tool that changed is accepted on the page, and then clients may call it', async () => {
    const token = fleet.tokens.ann
    const session = await openSession(notes(), { token })
    const add = async () => (await post(notes(), 'tools/call', { name: 'add_note', arguments: { text: 'seen' } }, { token, session })).body
    await expect.poll(async () => (await add()).error?.message ?? '', poll).toMatch(/quarantine/)
    await go('calls')
    await page().getByText('Look at the definition').click()
    await page().getByText('tells everybody who reads notes').waitFor() // what a person says yes to
    await page().getByRole('button', { name: 'Accept it as it is now: add_note of notes' }).click()
    await expect.poll(async () => JSON.stringify((await add()).result ?? ''), poll).toMatch(/kept as/)
    await expect.poll(() => page().getByRole('heading', { name: 'Held back' }).count(), poll).toBe(0)
  })

  test('peers: this machine, its session through the tunnel, who may come in and who is registered', async () => {
    await go('peers')
    const { peerId, registry, sessions, authorized } = await fleet.peer['show-peers']({})
    expect(sessions).toHaveLength(1)
    const self = region('This machine')
    await self.getByText(peerId, { exact: true }).waitFor()
    await self.getByText(registry!, { exact: true }).waitFor()
    await page()
      .getByRole('row', { name: /owner .*connected direct from 127\.0\.0\.1/ })
      .waitFor()
    for (const peer of authorized) await region('Who may come in').getByText(peer).waitFor()
    await region('At the registry').getByText('this machine').waitFor({ timeout: pollMs })
    const received = page().getByRole('table', { name: 'Sessions' }).getByRole('row').nth(1).getByRole('cell').nth(6)
    await expect
      .poll(async () => {
        const shown = Number(await received.textContent())
        return shown > 0 && Math.abs(shown - (await fleet.peer['show-peers']({})).sessions[0]!.received) <= 3
      }, poll)
      .toBe(true)
  })

  test('cache: what was saved is what the cache counted', async () => {
    await go('cache')
    await expect.poll(async () => (await number('API calls saved')) === (await fleet.cache.stats({})).api_calls_saved, poll).toBe(true)
    expect(await number('API calls made')).toBe((await fleet.cache.stats({})).api_calls_made)
    await page().getByRole('img', { name: /saved/ }).waitFor()
    await page().getByText('This cache is in no group').waitFor()
  })

  test('a credential is rotated on the page: it opens a session at the gate, the page says it is proved, and it is kept nowhere', async () => {
    await go('credentials')
    const settled = async () => (await fleet.gate['list-connectors']({})).every(({ fingerprint, rotation }) => fingerprint && !rotation)
    await expect.poll(settled, poll).toBe(true) // those of the demo's start
    const before = await fleet.gate['list-connectors']({})
    for (const { connector_id: id, fingerprint } of before)
      await page().getByRole('article', { name: id }).getByText(fingerprint!).waitFor({ timeout: pollMs })
    await page().getByRole('button', { name: 'Rotate now: operator_api' }).click()
    await page().getByRole('button', { name: 'Make and offer it' }).click()
    const dialog = page().getByRole('dialog', { name: 'The new credential' })
    const credential = (await dialog.locator('.secret code').textContent())!
    expect(credential).toMatch(/^flc_[\w-]{43}$/)
    await dialog.getByText('waits for a handshake').waitFor({ timeout: pollMs })
    expect((await handshake(port(), `${credential.slice(0, -1)}_`, handshakeBody('operator_api'))).status).toBe(401)
    expect((await handshake(port(), credential, handshakeBody('operator_api'))).status).toBe(200)
    await dialog.getByText('it is the one that holds').waitFor({ timeout: pollMs })
    await dialog.getByRole('button', { name: 'Close' }).click()
    await page().getByRole('article', { name: 'operator_api' }).getByText('alive').waitFor({ timeout: pollMs })
    const [old] = before.filter(({ connector_id: id }) => id === 'operator_api')
    await expect.poll(() => page().getByText(old!.fingerprint!).count(), poll).toBe(0)
    expect(await page().content()).not.toContain(credential)
  })

  test('the doctrine and who may come in are those of the gate', async () => {
    const findings = await fleet.gate['show-doctrine']({})
    const bad = findings.filter(({ verdict }) => verdict === 'bad')
    for (const { evidence } of bad) await region('Doctrine').getByText(evidence).first().waitFor({ timeout: pollMs })
    for (const { name, tokens } of await fleet.gate['list-principals']({}))
      await page()
        .getByRole('row', { name: new RegExp(`^${name} ${tokens[0]}`) })
        .waitFor()
  })

  test('machine: what it is and what was measured is what its tools tell, and what the system says', async () => {
    const asking = page().waitForRequest((request) => request.url().includes('metrics_query'))
    await go('machine')
    const asks = JSON.parse(new URL((await asking).url()).searchParams.get('asks')!) as { readonly input: MachineInput }[]
    const measuring = asks.find(({ input }) => input.tool === 'metrics_query')!.input // the same buckets
    const card = (name: string): Locator =>
      page()
        .getByRole('article')
        .filter({ has: page().getByRole('heading', { name, exact: true }) })
    const valueOf = async (name: string, key: string): Promise<string> =>
      (await card(name).locator('dl > div', { hasText: key }).locator('dd').first().textContent({ timeout: pollMs }))!
    const facts = (await fleet.machine.look({ tool: 'system_get_basic_info' })) as Facts
    const outside = { hostname: hostname(), kernel: release(), cpu: { count: cpus().length } }
    expect(facts).toMatchObject(outside)
    expect(await valueOf('What it is', 'Name')).toBe(outside.hostname)
    expect(await valueOf('What it is', 'Kernel')).toBe(outside.kernel)
    expect(await valueOf('What it is', 'Processor')).toMatch(new RegExp(`^${outside.cpu.count} × `))
    type Told = { readonly load: { readonly fifteenMinutes: number }; readonly memory: { readonly totalBytes: number } }
    await expect
      .poll(async () => {
        const { load, memory } = (await fleet.machine.look({ tool: 'system_get_health_snapshot' })) as Told
        const [loads, use] = [await valueOf('How it is', 'Load'), await valueOf('How it is', 'Memory')]
        return loads.endsWith(load.fifteenMinutes.toFixed(2)) && use.includes(` of ${sizeText(memory.totalBytes)} `)
      }, poll)
      .toBe(true)
    const plots = { CPU: 'cpu_percent', Memory: 'memory_percent', 'Disk /': 'disk_percent' }
    for (const title of Object.keys(plots)) await card(title).waitFor({ timeout: pollMs })
    const told = new Set<string>() // the page asks at other moments
    await expect
      .poll(async () => {
        const { series } = (await fleet.machine.look(measuring)) as Measured
        const last = (name: string): number => series.find((one) => one.name === name)!.buckets.at(-1)!.avg
        told.add(
          Object.values(plots)
            .map((name) => percentText(last(name)))
            .join(),
        )
        const shown = await Promise.all(Object.keys(plots).map((title) => card(title).locator('.now').textContent()))
        return told.has(shown.join())
      }, poll)
      .toBe(true)
  })

  test('machines: desired beside observed; a service is restarted on the page, and is another process then', async () => {
    await go('machines')
    const worker = (): number[] => pidsOn(fleet, 'cellar', '/bin/sh')
    const [pid] = worker()
    expect(pid).toBeGreaterThan(0)
    const { services } = await fleet.node('garage').status({})
    const [drift] = services.find(({ name }) => name === 'mail')!.components[0]!.drifts
    await page().getByRole('row', { name: /mail/ }).getByText(drift!.observed).waitFor({ timeout: pollMs })
    await page().getByLabel('Change worker').selectOption('restart')
    await page().getByRole('dialog').getByRole('button', { name: 'Restart', exact: true }).click()
    await expect.poll(() => worker().length === 1 && worker()[0] !== pid, poll).toBe(true)
    await page().getByRole('dialog').getByLabel('Close').click()
  })

  test('machines: a version is deployed on the page, and its image rolled back, with what is going on; it is another process each time', async () => {
    await go('machines')
    const web = (): { pid: number; version: string | undefined }[] =>
      pidsOn(fleet, 'cellar', process.execPath).map((pid) => ({
        pid,
        version: /\0VERSION=(\d)\0/.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'))?.[1],
      }))
    const pids = new Set(web().map(({ pid }) => pid))
    expect(web()).toMatchObject([{ version: '1' }])
    const dialog = page().getByRole('dialog')
    for (const [act, button, image] of [
      ['deploy', 'Deploy', 'site:v2'],
      ['rollback', 'Roll back', 'site:v1'],
    ] as const) {
      await page().getByLabel('Change web').selectOption(act)
      if (act === 'deploy') await dialog.getByText(image).waitFor({ timeout: pollMs }) // what would be done, before the yes
      await dialog.getByRole('button', { name: button, exact: true }).click()
      await dialog.getByText('web: deployed').waitFor({ timeout: pollMs })
      await dialog.getByText(image, { exact: true }).waitFor()
      expect(await dialog.locator('.steps li').count()).toBeGreaterThan(1)
      await expect.poll(() => web().length === 1 && !pids.has(web()[0]!.pid), poll).toBe(true)
      expect(web()).toMatchObject([{ version: '2' }]) // a rollback leaves what the definition says of variables
      pids.add(web()[0]!.pid)
      await dialog.getByRole('button', { name: 'Close', exact: true }).last().click()
    }
  })

  const names = ['overview', 'machines', 'calls', 'machine', 'peers', 'cache', 'credentials']

  test('in light: nothing serious for axe-core, and on a phone nothing is wider than it', async () => {
    for (const name of names) {
      await go(name)
      await expect.poll(() => page().getByText('Looking…').count(), poll).toBe(0)
      expect(await seriousFindings(page()), name).toEqual([])
      await picture(`${name}-light`)
      await page().setViewportSize({ width: 390, height: 800 })
      await expect.poll(() => page().evaluate(() => document.documentElement.scrollWidth - innerWidth), poll).toBeLessThanOrEqual(0)
      await picture(`${name}-phone`)
      await page().setViewportSize({ width: 1_280, height: 800 })
    }
  })

  test('in dark: everything can be read', async () => {
    await page().emulateMedia({ colorScheme: 'dark' })
    for (const name of names) {
      await go(name)
      await expect.poll(() => page().getByText('Looking…').count(), poll).toBe(0)
      expect(await seriousFindings(page(), ['color-contrast']), name).toEqual([])
      await picture(`${name}-dark`)
    }
  })

  test('two hundred services: all are there, and all can be scrolled to while they are looked at', async () => {
    const texts = Array.from(
      { length: 200 },
      (_, at) => `name = "many-${at}"\nnode = "garage"\non_drift = "ignore"\n\n[[components]]\nname = "many-${at}"\nimage = "worker:v1"\n`,
    )
    await fleet.node('garage').sync({ texts })
    await go('machines')
    const rows = page().getByRole('row', { name: /many-/ })
    await expect.poll(() => rows.count(), poll).toBe(200)
    await rows.last().scrollIntoViewIfNeeded()
    const { halfMs } = await scrolled(page().locator('html'), 'tr')
    if (isQuiet) expect(halfMs).toBeLessThan(20)
    await page().getByRole('searchbox').fill('many-199')
    await expect.poll(() => rows.count(), poll).toBe(1)
  })

  test('ten thousand entries of a record: only what can be seen is there, and all can be scrolled to', async () => {
    const gate = await recordOf(10_000)
    const { url } = await gateCalls(join(gate.folder, 'run'))['sign-in']({})
    await page().goto(url)
    await page().getByRole('link', { name: 'Calls' }).click()
    const table = page().getByRole('table', { name: 'What was found in the record' })
    await table.getByRole('cell', { name: '10000', exact: true }).waitFor()
    const toEnd = () => table.evaluate((element) => element.scrollTo(0, element.scrollHeight))
    await expect.poll(async () => (await toEnd(), table.getByRole('cell', { name: '1', exact: true }).count()), poll).toBe(1)
    expect(await table.getAttribute('aria-rowcount')).toBe('10001')
    const { most, halfMs } = await scrolled(table, '[role=row]')
    expect(most).toBeLessThan(60)
    if (isQuiet) expect(halfMs).toBeLessThan(20)
  })

  /** Scrolls through it by twentieths: the most parts that were there at once, and how long half of the frames took at most. */
  function scrolled(place: Locator, part: string): Promise<{ readonly most: number; readonly halfMs: number }> {
    return place.evaluate(async (element, selector) => {
      const gaps: number[] = []
      let most = 0
      for (let at = 0, last = performance.now(); at < 60; at++) {
        element.scrollTo(0, (element.scrollHeight * (at % 20)) / 20)
        await new Promise((resolve) => requestAnimationFrame(resolve))
        most = Math.max(most, element.querySelectorAll(selector).length)
        gaps.push(performance.now() - last)
        last = performance.now()
      }
      return { most, halfMs: gaps.sort((a, b) => a - b)[30]! }
    }, part)
  }

  /** A gate with a record of so many refusals. */
  async function recordOf(count: number): Promise<RunningGate> {
    const folder = temporaryFolder()
    const ledger = openLedger({ ...gateLedger(join(folder, 'state')), clock, log })
    for (let n = 1; n <= count; n++)
      void ledger.append({
        event: 'refused',
        principal: 'ann',
        via: 'token',
        upstream: 'up',
        method: 'tools/call',
        name: `tool_${n}`,
        reason: 'no rule',
      })
    await ledger.close()
    const access = `[gate.principals.ann]\ntoken_sha256 = "${tokenHash('ann')}"\ndashboard = "observe"\n`
    return gateFor({ upstreams: {}, access, folder })
  }

  async function picture(name: string): Promise<void> {
    if (pictures === undefined) return
    mkdirSync(pictures, { recursive: true })
    await page().screenshot({ path: join(pictures, `${name}.png`), fullPage: true })
  }
})
