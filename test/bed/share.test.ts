// A group over a network: an API and a host in a public place, runners behind routers that let nothing in, each a process in a namespace of its own. All that passes by
// the public place is captured, and searched for what nobody there may read. Imports nothing of the program.
import { join } from 'node:path'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ApiTold } from '../kit/api-process.ts'
import { makeAuthority, makeCertificate } from '../kit/certificates.ts'
import { type Lab, createLab, inside, obstacle } from './namespaces.ts'
import { type Capture, capture } from './people.ts'
import { type Member, type MemberSettings, type Runners, startRunners, wave } from './runners.ts'

const missing = obstacle('openssl')
const undo: (() => unknown)[] = []
const secret = 'the-secret-of-the-group'
const paths = Array.from({ length: 20 }, (_, at) => `/repos/o/hidden-name-${at}`)
let lab: Lab
let bed: Runners
let captured: Capture
let host: Member & { readonly address: string }
let runners: readonly Member[]
let settings: MemberSettings
/** Of the public place. */
let secureAt: NonNullable<ApiTold['secureAt']>

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing) // refused in CI, as every skip is
})
beforeAll(async () => {
  if (missing !== undefined) return
  const folder = await mkdtemp(join(tmpdir(), 'share-lab-'))
  undo.push(() => rm(folder, { recursive: true, force: true }))
  lab = createLab()
  undo.push(() => lab.close())
  captured = await capture(lab.public, join(folder, 'public.pcap'), undo)
  bed = await startRunners({ secret, apiPlace: lab.public })
  undo.push(() => bed.close())
  const authority = makeAuthority(folder)
  secureAt = { host: lab.publicAddress, ...makeCertificate(authority, [`IP:${lab.publicAddress}`]) }
  const { secureUrl } = await bed.api.tell({ delayMs: 20, secureAt })
  settings = { api: secureUrl!, env: { NODE_EXTRA_CA_CERTS: join(folder, 'authority.pem') } }
  const started = await bed.host({ ...settings, place: lab.public, flags: ['--listen', '0.0.0.0', '--port', '9100'] })
  host = { ...started, address: `/ip4/${lab.publicAddress}/tcp/9100/p2p/${started.address.split('/').at(-1)}` }
  runners = await Promise.all([lab.box, lab.mac].map((place) => bed.runner(host.address, { ...settings, place })))
}, 90_000)
afterAll(async () => {
  for (const clean of undo.reverse()) await clean()
})

test('runners behind routers ask for each thing once, and a late one for nothing', async () => {
  for (const { notes } of runners) expect(notes).toContain('✓ Connected to bootstrap peer')
  expect(await wave(runners, paths)).toEqual([200])
  expect(await bed.api.seen()).toHaveLength(paths.length)
  const late = await bed.runner(host.address, { ...settings, place: lab.box })
  expect(await wave([late], paths, 'job-late')).toEqual([200])
  expect(await bed.api.seen()).toEqual([])
})

test('what clients ask of other hosts passes, and counts as no call of the API', async () => {
  const { secureUrl } = await bed.api.tell({ secureAt }) // at another port, so that it is not the API
  const before = await host.stats()
  expect(await host.ask('/a/download', { host: new URL(secureUrl!).host })).toMatchObject({ status: 200 })
  expect((await bed.api.seen()).map(({ url }) => url)).toEqual(['/a/download'])
  expect(await host.stats()).toMatchObject({ api_calls_made: before['api_calls_made'], passed: before['passed'] })
})

test('nothing of it can be read on the way: no token, no secret, no name, no body', async () => {
  const plain = 'plain-words-that-the-capture-must-show'
  inside(lab.mac, ['bash', '-c', `exec 3<>/dev/tcp/${lab.publicAddress}/9100; echo ${plain} >&3; sleep 0.2`])
  const bytes = await captured.end()
  const isSeen = (word: string): boolean => bytes.includes(word)
  expect(isSeen(plain)).toBe(true)
  expect(isSeen('/noise')).toBe(true) // the negotiation before the handshake: these are the right connections
  expect(bytes.length).toBeGreaterThan(50_000)
  const words = ['job-', 'token ', 'authorization', secret, 'hidden-name', 'version', '/repos/', 'fairlead/share']
  const encoded = words.flatMap((word) => [
    word,
    Buffer.from(word)
      .toString('base64')
      .replace(/.{1,2}=*$/, ''),
    Buffer.from(word).toString('hex'),
  ])
  expect(encoded.filter(isSeen)).toEqual([])
})
