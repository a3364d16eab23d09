// A laptop in a network that lets out nothing but HTTP through a proxy: registry, relay and an MCP session over WebSockets, through a real proxy (tinyproxy) that allows
// port 443 alone, to a real web server (nginx) that ends TLS. The machine is behind a router of its own. Imports nothing of the program.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Lab, createLab, inside, obstacle } from './namespaces.ts'
import { type Person, type Running, capture, connect, idOf, person, root, run, serve, start, until, within } from './people.ts'

const missing = obstacle('nginx', 'tinyproxy', 'openssl')
const host = 'registry.example.test'
const url = `wss://${host}`
const password = 'not-to-be-told'

let lab: Lab
let folder: string
const undo: (() => unknown)[] = []
let proxy: Running
let laptop: Person
let box = ''
let counted = ''

const at = (...names: readonly string[]): string => join(folder, ...names)
const calls = (): string[] => readFileSync(counted, 'utf8').trim().split('\n')

/** An authority of our own, and the certificate that it gives the web server. */
function makeCertificates(): void {
  const openssl = (...words: string[]): void => void execFileSync('openssl', words, { stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  openssl('req', '-x509', ...key, '-subj', '/CN=an authority of our own', '-keyout', at('ca.key'), '-out', at('ca.pem'))
  const issuer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key')]
  openssl(
    'req',
    '-x509',
    ...key,
    '-subj',
    `/CN=${host}`,
    '-addext',
    `subjectAltName=DNS:${host}`,
    ...issuer,
    '-keyout',
    at('web.key'),
    '-out',
    at('web.pem'),
  )
}

/** What the guide says to write: docs/guide/strict-networks.md. */
function nginxSite(): string {
  const guide = readFileSync(join(root, 'docs/guide/strict-networks.md'), 'utf8')
  const site = /```nginx\n(.*?)```/s.exec(guide)![1]!
  return site
    .replace('registry.example.org', host)
    .replace(/ssl_certificate .*;/, `ssl_certificate ${at('web.pem')};`)
    .replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${at('web.key')};`)
}

async function startNginx(): Promise<void> {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${at('nginx', name)};`)
  mkdirSync(at('nginx'))
  writeFileSync(
    at('nginx.conf'),
    `daemon off; master_process off; pid ${at('nginx', 'pid')}; error_log stderr notice;
     events {} http { access_log ${at('nginx', 'access')}; ${paths.join(' ')}\n${nginxSite()} }`,
  )
  await start(
    person(lab.public, folder, 'nginx'),
    ['nginx', '-e', 'stderr', '-c', at('nginx.conf')],
    (said) => said.includes('start worker') || said.includes('using the'),
    undo,
  )
}

async function startProxy(): Promise<Running> {
  writeFileSync(
    at('tinyproxy.conf'),
    `Port 3128\nListen 10.2.0.1\nTimeout 600\nMaxClients 50\nLogLevel Info\nBasicAuth laptop ${password}\nConnectPort 443\n`,
  )
  return start(
    person(lab.router('mac'), folder, 'proxy'),
    ['tinyproxy', '-d', '-c', at('tinyproxy.conf')],
    (said) => said.includes('Accepting connections'),
    undo,
  )
}

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})

beforeAll(async () => {
  if (missing !== undefined) return
  folder = mkdtempSync(join(tmpdir(), 'fairlead-bed-'))
  lab = createLab()
  const router = lab.router('mac')
  // only the proxy knows the name, and only the proxy gets out
  mkdirSync(`/etc/netns/${router}`, { recursive: true })
  undo.push(() => rmSync(`/etc/netns/${router}`, { recursive: true, force: true }))
  writeFileSync(`/etc/netns/${router}/hosts`, `127.0.0.1 localhost\n${lab.publicAddress} ${host}\n`)
  inside(router, ['nft', 'flush chain inet lab forward; add rule inet lab input iifname "in" tcp dport 3128 accept'])
  makeCertificates()
  counted = at('calls')
  writeFileSync(counted, '')
  const announced = [`/ip4/${lab.publicAddress}/tcp/8765`, `/dns4/${host}/tcp/443/wss`].flatMap((address) => ['--announce', address])
  const registry = ['registry', '--host', '0.0.0.0', '--listen', '/ip4/127.0.0.1/tcp/8780/ws', ...announced]
  await serve(person(lab.public, folder, 'registry'), undo, ...registry)
  await startNginx()
  proxy = await startProxy()
  const through = `http://laptop:${password}@10.2.0.1:3128`
  laptop = person(lab.mac, folder, 'laptop', { env: { HTTPS_PROXY: through, NODE_EXTRA_CA_CERTS: at('ca.pem') } })
  const linux = person(lab.box, folder, 'box')
  await Promise.all([run(linux, 'init', '--name', 'Box'), run(laptop, 'init', '--name', 'Laptop')])
  const command = `${process.execPath} ${join(root, 'test/bed/counting-server.mjs')} ${counted}`
  await serve(linux, undo, 'mcp-serve', '--authorized-peer', await idOf(laptop), '--command', command, '--server', lab.publicAddress)
  box = await idOf(linux)
}, 90_000)

afterAll(async () => {
  for (const step of undo.splice(0).toReversed()) await step()
  if (missing !== undefined) return
  lab.close()
  rmSync(folder, { recursive: true, force: true })
})

type Failed = { readonly code: number; readonly stdout: string; readonly stderr: string }
const failed = async (who: Person, ...words: readonly string[]): Promise<Failed> =>
  run(who, ...words).then(
    () => Promise.reject(new Error(`${words[0]} went well`)),
    (error: Failed) => error,
  )

test('nothing but the proxy is reached, and doctor says what that means and what to do', { timeout: 120_000 }, async () => {
  for (const port of [8765, 443])
    expect(() => inside(lab.mac, ['timeout', '1', 'bash', '-c', `exec 3<>/dev/tcp/${lab.publicAddress}/${port}`])).toThrow('Command failed')
  const plain = await failed(laptop, 'doctor', '--server', lab.publicAddress)
  expect(plain.code).toBe(3)
  expect(plain.stdout).toMatch(/^bad +proxy .*203\.0\.113\.1:8765 does not answer .*HTTPS_PROXY names the proxy 10\.2\.0\.1:3128/m)
  expect(plain.stdout).toContain('register --server wss://203.0.113.1')
  expect(plain.stdout).not.toContain(password)

  const { HTTPS_PROXY: _, ...bare } = laptop.env
  const without = await failed({ ...laptop, env: bare }, 'register', '--server', url)
  expect(without.code).toBe(5)
  const nameless = { ...laptop, env: { ...laptop.env, HTTPS_PROXY: 'http://10.2.0.1:3128' } }
  expect((await failed(nameless, 'register', '--server', url)).stderr).toContain(
    'asks for a name and password: HTTPS_PROXY=http://NAME:PASSWORD@',
  )
  const elsewhere = await failed(laptop, 'register', '--server', `wss://${host}:8443`)
  expect(elsewhere.stderr).toContain(`the proxy 10.2.0.1:3128 does not let us to ${host}:8443: it answered 403`)
  expect(elsewhere.stderr).not.toContain(password)
})

test('TLS is verified: an authority that nobody trusts here is refused, and named', { timeout: 60_000 }, async () => {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = laptop.env
  const { code, stderr } = await failed({ ...laptop, env }, 'register', '--server', url)
  expect(code).toBe(5)
  expect(stderr).toMatch(/the certificate that registry\.example\.test shows is not trusted here \(.*\); NODE_EXTRA_CA_CERTS=FILE/)
  const { stdout } = await failed({ ...laptop, env }, 'doctor', '--server', url)
  expect(stdout).toMatch(/^bad +registry-answers .*not trusted here/m)
  const other = await failed(laptop, 'register', '--server', `wss://${lab.publicAddress}`) // it is not for the bare address
  expect(other.stderr).toContain(`the certificate that ${lab.publicAddress} shows is somebody else's`)
})

test('an MCP session goes through it, which nobody on the way can read, and outlives the proxy', { timeout: 120_000 }, async () => {
  expect(await run(laptop, 'register', '--server', url)).toContain(`is registered at ${url}`)
  await until('Box is reached through the relay', async () => /Box .*relayed/.test(await run(laptop, 'peers')))
  const status = await run(laptop, 'status')
  expect(status).toMatch(/^registry +wss:\/\/registry\.example\.test: registered .*, through the proxy 10\.2\.0\.1:3128$/m)
  expect(await run(laptop, 'doctor', box)).toMatch(/^good +peer-answers .*p2p-circuit.*it answers through the relay/m)

  const capturing = await capture(lab.public, at('public.pcap'), undo)
  const capturingInside = await capture(lab.router('mac'), at('inside.pcap'), undo)
  const starts = (): number => calls().filter((line) => line.startsWith('started')).length
  const startsBefore = starts() // doctor has asked to be let in
  const client = connect(laptop, undo, box)
  await within(30_000, 'initialize', client.initialize())
  const secret = `secret-${process.pid}-in-the-argument-and-in-the-result`
  expect(await within(20_000, 'the call', client.call('count', { call: secret }))).toBe(secret)
  const captured = await capturing.end()
  const isSeen = (word: string): boolean => captured.includes(word)
  expect(isSeen('GET / HTTP/1.1')).toBe(true) // from the web server to the registry: these are the right connections
  expect(isSeen('/noise')).toBe(true)
  expect([secret, 'tools/call', 'jsonrpc', 'counting', 'Laptop'].filter(isSeen)).toEqual([])
  const capturedInside = await capturingInside.end()
  expect(capturedInside.includes(`CONNECT ${host}:443`)).toBe(true)
  expect([secret, 'tools/call', '/noise', 'jsonrpc'].filter((word) => capturedInside.includes(word))).toEqual([])

  for (let n = 0; n < 3; n++) {
    await proxy.stop('SIGKILL')
    const during = client.call('count', { call: `during-${n}` })
    proxy = await startProxy()
    expect(await within(60_000, `the answer after restart ${n}: ${client.stderr()}`, during)).toBe(`during-${n}`)
  }
  expect(calls().filter((line) => line.startsWith('during-'))).toEqual(['during-0', 'during-1', 'during-2'])
  expect(starts()).toBe(startsBefore + 1) // the same session all along
  client.process.stdin.end()
  expect(await within(20_000, 'the end', client.ended)).toBe(0)
})
