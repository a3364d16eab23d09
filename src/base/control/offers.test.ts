// Offers over the sockets of a daemon: listed, streamed, and followed over a daemon's death.
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { type Offer, OfferList, watchOffers } from './offers.ts'
import { openControl } from './server.ts'

let folder: string
const stack: (() => unknown)[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-offers-'))
})
afterEach(async () => {
  for (const end of stack.splice(0).reverse()) await end()
  rmSync(folder, { recursive: true, force: true })
})

const offerOf = (id: string, more: Partial<Offer> = {}): Offer => ({
  id,
  transport: 'socket',
  address: `/run/${id}`,
  health: 'ok',
  probe: 'none',
  digest: '1',
  ...more,
})

async function daemon(): Promise<{ offers: OfferList; close(): Promise<void> }> {
  const offers = new OfferList()
  const open = await openControl({ api: {}, handlers: {}, clock, log, offers }, { daemon: 'test', folder })
  const close = async (): Promise<void> => open[Symbol.asyncDispose]()
  return { offers, close }
}

function follow(): { said: string[]; stop: () => void } {
  const said: string[] = []
  const stop = watchOffers({ clock }, folder, {
    offered: (offers) => void said.push(offers.map(({ id, health }) => `${id} ${health}`).join(', ')),
    lost: (reason) => void said.push(`lost: ${reason}`),
  })
  stack.push(stop)
  return { said, stop }
}

test('a list, and then every change of it; nothing is told twice; a daemon that ends is lost once and found again', async () => {
  const first = await daemon()
  first.offers.set([offerOf('a')])
  const { said, stop } = follow()
  await expect.poll(() => said).toEqual(['a ok'])
  first.offers.set([offerOf('a')])
  first.offers.set([offerOf('a', { health: 'failing' }), offerOf('b')])
  await expect.poll(() => said).toEqual(['a ok', 'a failing, b ok'])
  const listed = await new Promise<string>((resolve, reject) =>
    request({ socketPath: join(folder, 'observe.sock'), path: '/v1/offers', headers: { host: 'localhost' } }, (response) => {
      let text = ''
      response.on('data', (part) => (text += String(part))).on('end', () => resolve(text))
    })
      .on('error', reject)
      .end(),
  )
  expect((JSON.parse(listed) as { offers: Offer[] }).offers.map(({ id }) => id)).toEqual(['a', 'b'])
  await first.close()
  await expect.poll(() => said.filter((one) => one.startsWith('lost')).length).toBeGreaterThan(0)
  const second = await daemon()
  stack.push(() => second.close())
  second.offers.set([offerOf('c')])
  await expect.poll(() => said.at(-1), { timeout: 5_000 }).toBe('c ok')
  stop()
  second.offers.set([])
  expect(said.at(-1)).toBe('c ok')
})

test.each([
  ['no list', '{"offers":[{"id":1}]}\n', /no list of offers/],
  ['no JSON', 'x\n', /no list of offers/],
  ['too many', `${JSON.stringify({ offers: Array.from({ length: 1_001 }, (_, at) => offerOf(String(at))) })}\n`, /no list of offers/],
  ['a line without end', 'x'.repeat(9 << 20), /offers too much/],
])('what is no daemon is lost, in words why: %s', async (_what, body, words) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  })
  await new Promise<void>((resolve) => server.listen(join(folder, 'observe.sock'), resolve))
  stack.push(() => server.close())
  const { said } = follow()
  await expect.poll(() => said[0], { timeout: 10_000 }).toMatch(words)
})
