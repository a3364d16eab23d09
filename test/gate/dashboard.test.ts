// The dashboard's door, from outside: what its pages are sent with, who gets in and how, what a foreign page cannot do, and what is told and done on behalf of whom.
import { request } from 'node:http'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { type GateCalls, gateCalls } from '../../src/gate/client.ts'
import { noBrowser, openBrowser } from '../kit/browser.ts'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { configure } from '../kit/gate.ts'
import { type RunningGate, call, gateFor, ledgerLines, openSession, unrulyServer, until } from './bed.ts'

const ann = 'a-token-of-ann'
const eve = 'a-token-of-eve'
const accessWith = (bob: string): string =>
  `[gate.principals.ann]\ntoken_sha256 = "${tokenHash(ann)}"\ndashboard = "change"\n` +
  `[gate.principals.bob]\npeers = []\n${bob}\n[gate.principals.eve]\ntoken_sha256 = "${tokenHash(eve)}"\n` +
  '[[gate.rules]]\nprincipals = ["ann", "eve"]\nupstreams = ["*"]\ntools = ["echo"]\napprove = ["echo"]\n'
const options = {
  upstreams: { up: { command: unrulyServer().command } },
  settings: 'approval_by = "machine"\npublic_url = "https://gate.example"\n',
}

let gate: RunningGate
let own: GateCalls

beforeAll(async () => {
  gate = await gateFor({ ...options, access: accessWith('dashboard = "observe"') })
  own = gateCalls(join(gate.folder, 'run'))
  keep()
}, 60_000)
afterAll(cleanUp)

type Answer = {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: Buffer
  json(): { readonly [key: string]: unknown; readonly error: { readonly code: string } }
}
type Sent = { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: unknown }

/** One request, as a browser or whoever else sends it: `fetch` would not let a test choose these headers. */
function send(path: string, { method = 'GET', headers = {}, body }: Sent = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sending = request({ host: '127.0.0.1', port: gate.port, path, method, headers, agent: false }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.once('end', () => {
        const whole = Buffer.concat(parts)
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          body: whole,
          json: () => JSON.parse(whole.toString()) as ReturnType<Answer['json']>,
        })
      })
    })
    sending.once('error', reject)
    sending.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

const refusedBy = (answer: Answer): { status: number; code: string } => ({ status: answer.status, code: answer.json().error.code })
const fromPage = { 'x-fairlead': 'dashboard', 'content-type': 'application/json' }
const codeOf = ({ url }: { readonly url: string }): string => /#sign-in=([\w-]+)$/.exec(url)![1]!

/** The cookie of somebody who opened a link. */
async function cookieOf(principal: string): Promise<string> {
  const code = codeOf(await own['sign-in']({ principal }))
  const { status, headers } = await send('/api/session', { method: 'POST', headers: fromPage, body: { code } })
  expect(status).toBe(200)
  return String(headers['set-cookie']).split(';')[0]!
}

const post = (path: string, cookie: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Answer> =>
  send(path, { method: 'POST', headers: { ...fromPage, cookie, ...headers }, body })

test('the page and its files: nothing from elsewhere, nothing inline, no frame, compressed and small', async () => {
  const page = await send('/')
  expect(page.status).toBe(200)
  const policy = String(page.headers['content-security-policy'])
  for (const part of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ])
    expect(policy.split('; ')).toContain(part)
  expect(policy).not.toMatch(/unsafe|\*|https?:|data:/)
  expect(page.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cache-control': 'no-cache' })
  const html = page.body.toString()
  expect(html).not.toMatch(/<style|\son\w+=|style=|<script(?![^>]*\ssrc=)/)
  const files = [...html.matchAll(/(?:href|src)="(\/web\/[^"]+)"/g)].map(([, path]) => path!)
  expect(files).toHaveLength(3)
  let sizeBytes = 0
  for (const path of files) {
    const [plain, packed] = [await send(path), await send(path, { headers: { 'accept-encoding': 'gzip' } })]
    expect(packed).toMatchObject({
      status: 200,
      headers: { 'content-encoding': 'gzip', 'cache-control': 'public, max-age=31536000, immutable' },
    })
    expect(gunzipSync(packed.body).equals(plain.body)).toBe(true)
    sizeBytes += packed.body.length
  }
  expect(sizeBytes).toBeLessThan(200_000)
  expect((await send('/', { headers: { 'accept-encoding': 'br' } })).headers['content-encoding']).toBe('br')
  for (const path of ['/web/../main.js', '/web/%2e%2e/main.js', '/web/', '/web/app.js.gz']) expect((await send(path)).status).toBe(404)
})

test('a link signs in once, by a cookie that no script and no other site gets', async () => {
  const link = await own['sign-in']({ principal: 'ann' })
  expect(link.url).toMatch(/^https:\/\/gate\.example\/#sign-in=/)
  const code = codeOf(link)
  const first = await send('/api/session', { method: 'POST', headers: fromPage, body: { code } })
  expect(first.json()).toMatchObject({ person: 'ann', level: 'change' })
  expect(String(first.headers['set-cookie'])).toMatch(
    new RegExp(`^fairlead-${gate.port}=[\\w-]{32}; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200$`),
  )
  const second = await send('/api/session', { method: 'POST', headers: fromPage, body: { code } })
  expect([second.status, second.json().error.code, second.headers['set-cookie']]).toEqual([401, 'dashboard.bad_code', undefined])
  const outside = await send('/api/session', {
    method: 'POST',
    headers: { ...fromPage, host: 'gate.example', origin: 'https://gate.example' },
    body: { code: codeOf(await own['sign-in']({ principal: 'ann' })) },
  })
  expect(String(outside.headers['set-cookie'])).toMatch(
    /^__Host-fairlead=[\w-]{32}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure$/,
  )
  await expect(own['sign-in']({ principal: 'eve' })).rejects.toMatchObject({ code: 'dashboard.no_principal' })
  await expect(own['sign-in']({})).rejects.toMatchObject({ code: 'dashboard.no_principal' }) // there are two
})

test('without a session nothing is told; a token of the gate is one, for who may; signing out ends it', async () => {
  for (const path of ['/api/session', '/api/daemons', '/api/live?asks=[]', '/api/nothing']) expect((await send(path)).status).toBe(401)
  expect((await post('/api/gate/list-connectors', '')).status).toBe(401)
  const own = await send('/api/session', { method: 'POST', headers: { ...fromPage, authorization: `Bearer ${ann}` }, body: {} })
  expect(own.status).toBe(200)
  const others = await send('/api/session', { method: 'POST', headers: { ...fromPage, authorization: `Bearer ${eve}` }, body: {} })
  expect([others.status, others.json().error.code]).toEqual([403, 'dashboard.not_for_you'])
  const cookie = String(own.headers['set-cookie']).split(';')[0]!
  expect((await send('/api/session', { headers: { cookie } })).json()).toMatchObject({ person: 'ann' })
  expect((await post('/api/session/end', cookie)).status).toBe(200)
  expect((await send('/api/session', { headers: { cookie } })).status).toBe(401)
})

test('a page of another site, or of another port of this machine, does nothing as who is signed in', async () => {
  const cookie = await cookieOf('ann')
  const freeze = (headers: Record<string, string | undefined>): Promise<Answer> => {
    const all = { ...fromPage, cookie, ...headers }
    const given = Object.fromEntries(Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
    return send('/api/gate/freeze-connectors', { method: 'POST', headers: given, body: {} })
  }
  const foreign = [
    { 'x-fairlead': undefined }, // a form, or a simple request
    { 'x-fairlead': undefined, 'content-type': 'text/plain' },
    { origin: `http://127.0.0.1:${gate.port + 1}` },
    { origin: `http://localhost:${gate.port}` }, // ours by another name is another origin
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site' },
  ]
  for (const headers of foreign) {
    const { status, code } = refusedBy(await freeze(headers))
    expect([headers, status, code]).toEqual([headers, 403, 'dashboard.foreign_page'])
  }
  expect((await freeze({ origin: 'https://evil.example' })).status).toBe(403) // by the listener
  expect((await send('/api/session', { headers: { cookie, 'sec-fetch-site': 'same-site' } })).status).toBe(403)
  expect(
    (await send('/api/gate/freeze-connectors', { method: 'OPTIONS', headers: { origin: `http://127.0.0.1:${gate.port + 1}` } })).headers,
  ).not.toHaveProperty('access-control-allow-origin')
  expect((await own['list-connectors']({})).every(({ frozen }) => frozen === null)).toBe(true)
  expect((await freeze({ origin: `http://127.0.0.1:${gate.port}`, 'sec-fetch-site': 'same-origin' })).status).toBe(200)
  expect((await own['list-connectors']({})).every(({ frozen }) => frozen !== null)).toBe(true)
  await own['restore-connectors']({})
})

test('who may only look changes nothing, and is not told what is not for them; what is changed is recorded with who did it', async () => {
  const [looks, acts] = [await cookieOf('bob'), await cookieOf('ann')]
  expect((await post('/api/gate/list-connectors', looks)).status).toBe(200)
  for (const operation of ['freeze-connectors', 'list-calls', 'reload']) {
    const { status, code } = refusedBy(await post(`/api/gate/${operation}`, looks))
    expect([operation, status, code]).toEqual([operation, 403, 'dashboard.only_observes'])
  }
  expect((await post('/api/gate/sign-in', acts, { principal: 'bob' })).status).toBe(404) // nobody lets others in from there
  expect((await post('/api/gate/freeze-connectors', acts, { why: 'a test' })).json()).toEqual({ changed: true })
  expect((await post('/api/gate/restore-connectors', acts)).status).toBe(200)
  const told = ledgerLines(gate)
  const begin = told.findLast(({ event, operation }) => event === 'dashboard.begin' && operation === 'freeze-connectors')!
  expect(begin).toMatchObject({ principal: 'ann', daemon: 'gate' })
  expect(told.find(({ event, begin: of }) => event === 'dashboard.end' && of === begin['seq'])).toMatchObject({ outcome: 'done' })
  expect(told.some(({ event, principal }) => event === 'dashboard.begin' && principal === 'bob')).toBe(false)
  expect(told.some(({ event, reason }) => event === 'refused' && reason === 'bob may only look: gate/freeze-connectors')).toBe(true)
  expect(told.some(({ operation }) => operation === 'list-connectors' || operation === 'list-calls')).toBe(false)
})

type Told = { readonly ask: number; readonly value?: readonly { readonly frozen: unknown }[]; readonly fault?: { readonly code: string } }

/** What a page hears, until the stream ends. */
function listen(cookie: string, asks: readonly object[]) {
  const heard: Told[] = []
  let status: number | undefined
  const sending = request({
    host: '127.0.0.1',
    port: gate.port,
    path: `/api/live?asks=${encodeURIComponent(JSON.stringify(asks))}`,
    headers: { cookie },
    agent: false,
  })
  const ended = new Promise<void>((resolve) => {
    sending.on('response', (response) => {
      status = response.statusCode
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
        for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
          if (text.startsWith('data: ')) heard.push(JSON.parse(text.slice(6, at)) as Told)
          text = text.slice(at + 2)
        }
      })
      response.once('close', resolve)
    })
    sending.once('error', () => resolve())
  })
  sending.end()
  return { heard, ended, status: () => status, close: () => sending.destroy() }
}

test('live: what is another than before, and nothing that changes something', async () => {
  const [looks, acts] = [await cookieOf('bob'), await cookieOf('ann')]
  const page = listen(looks, [{ daemon: 'gate', operation: 'list-connectors', everyMs: 1_000 }])
  await until('the first value', () => page.heard.length === 1)
  await own['freeze-connectors']({})
  await until('frozen', () => page.heard.length === 2)
  await own['restore-connectors']({})
  await until('restored', () => page.heard.length === 3)
  expect(page.heard.map(({ value }) => value!.every(({ frozen }) => frozen !== null))).toEqual([false, true, false])
  page.close()
  for (const [cookie, ask, status] of [
    [acts, { daemon: 'gate', operation: 'freeze-connectors' }, 400],
    [looks, { daemon: 'gate', operation: 'list-calls' }, 403],
    [acts, { daemon: 'nobody', operation: 'status' }, 404],
    [acts, { daemon: 'gate', operation: 'constructor' }, 400],
  ] as const) {
    const refused = listen(cookie, [ask])
    await refused.ended
    expect([ask, refused.status()]).toEqual([ask, status])
  }
})

test('one person has sixteen live pages open at most, and takes no room from another', async () => {
  const [looks, acts] = [await cookieOf('bob'), await cookieOf('ann')]
  const ask = [{ daemon: 'gate', operation: 'list-connectors' }]
  const open = Array.from({ length: 16 }, () => listen(looks, ask))
  await until('all hear', () => open.every(({ heard }) => heard.length > 0))
  const more = listen(looks, ask)
  await until('an answer', () => more.status() !== undefined)
  expect(more.status()).toBe(429)
  const other = listen(acts, ask)
  await until('the other hears', () => other.heard.length > 0)
  for (const { close } of [...open, other]) close()
  await until('there is room again', async () => {
    const again = listen(looks, ask)
    await until('an answer', () => again.status() !== undefined)
    again.close()
    return again.status() === 200
  })
})

test.skipIf(noBrowser)(
  `what comes from outside is text on the page, and a call is allowed from it${noBrowser ? `: ${noBrowser}` : ''}`,
  async () => {
    const { page, problems } = await openBrowser()
    const session = await openSession(gate.url('up'), { token: eve })
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    const calling = call(gate.url('up'), 'echo', { text: hostile }, { token: eve, session })
    await until('the call waits', async () => (await own['list-calls']({})).length === 1)
    await page.goto(`http://127.0.0.1:${gate.port}/#sign-in=${codeOf(await own['sign-in']({ principal: 'ann' }))}`)
    const waiting = page.getByRole('listitem').filter({ hasText: 'calls echo of up' })
    await waiting.waitFor()
    expect(page.url()).not.toContain('sign-in')
    expect(await waiting.locator('code').textContent()).toBe(JSON.stringify({ text: hostile }))
    expect(await page.locator('main img, main script').count()).toBe(0)
    expect(await page.title()).toBe('Overview · Fairlead')
    await waiting.getByRole('button', { name: 'Allow once' }).click()
    expect(JSON.stringify((await calling).body)).toContain('onerror')
    await waiting.waitFor({ state: 'detached' })
    expect(problems).toEqual([])
  },
)

test('who is a person no more hears nothing more; without anybody there is no dashboard', async () => {
  const acting = listen(await cookieOf('ann'), [{ daemon: 'gate', operation: 'list-calls' }])
  await until('the first value', () => acting.heard.length === 1)
  configure(gate.folder, { ...options, port: gate.port, access: accessWith('dashboard = "observe"').replace('"change"', '"observe"') })
  await own.reload({})
  await Promise.race([acting.ended, new Promise((_, reject) => setTimeout(() => reject(new Error('it still listens')), 5_000))])
  const cookie = await cookieOf('bob')
  const page = listen(cookie, [{ daemon: 'gate', operation: 'list-connectors' }])
  await until('the first value', () => page.heard.length === 1)
  configure(gate.folder, { ...options, port: gate.port, access: accessWith('') })
  await own.reload({})
  expect((await send('/api/session', { headers: { cookie } })).status).toBe(403)
  await Promise.race([page.ended, new Promise((_, reject) => setTimeout(() => reject(new Error('it still listens')), 5_000))])
  configure(gate.folder, { ...options, port: gate.port, access: accessWith('').replace('dashboard = "change"', '') })
  await own.reload({})
  expect((await send('/')).status).toBe(401)
  await expect(own['sign-in']({ principal: 'ann' })).rejects.toMatchObject({ code: 'dashboard.no_principal' })
}, 40_000)
