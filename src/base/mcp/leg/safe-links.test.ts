// Links that a server asks to be opened: bad ones are refused wherever they stand, and everything else passes as the same frame.
import { expect, test } from 'vitest'
import { scan } from '../../wire/scan.ts'
import type { Frame } from '../../wire/frame.ts'
import { type Leg, answered, neverAborted, noHeaders } from '../exchange.ts'
import { textOf } from '../message.ts'
import { nowhere } from '../scopes.ts'
import { withSafeLinks } from './safe-links.ts'

const frameOf = (text: string): Frame => scan(Buffer.from(text))
const request = frameOf('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}')

/** What the client gets, and what the server is told, when the server says `text` on the way of a request or beside all. */
async function said(text: string, where: 'out' | 'side'): Promise<{ client: string[]; server: string[] }> {
  const client: string[] = []
  const server: string[] = []
  const sink = { write: (frame: Frame) => client.push(textOf(frame)) > 0, room: () => Promise.resolve() }
  const leg = await withSafeLinks(
    async (side): Promise<Leg> => {
      if (where === 'side') side.write(frameOf(text))
      return {
        era: 'legacy',
        tellsApart: true,
        ended: new Promise(() => {}),
        async request(_frame, _headers, out) {
          if (where === 'out') out.write(frameOf(text))
          return answered
        },
        async send(frame) {
          server.push(textOf(frame))
          return { is: 'accepted' }
        },
        listen: async () => false,
        close: async () => {},
      }
    },
    where === 'side' ? sink : nowhere,
  )
  await leg.request(request, noHeaders, sink, neverAborted)
  return { client, server }
}

const elicit = (url: string): string =>
  `{"jsonrpc":"2.0","id":"s7","method":"elicitation/create","params":{"mode":"url","url":${url},"message":"m"}}`
const urls = [
  '"javascript:alert(1)"',
  '"file:///etc/passwd"',
  '"JavaScript:x"',
  '" java\\tscript:alert(1)"',
  '"data:text/html,x"',
  '"vscode://x"',
  '"no link"',
  '7',
  '"//host"',
]

test.each(urls)('attack 18: %s is refused in every place (CVE-2025-6514, Inspector 2.14.0)', async (url) => {
  for (const where of ['out', 'side'] as const) {
    const { client, server } = await said(elicit(url), where)
    expect(client).toEqual([])
    expect(server.map((text) => JSON.parse(text) as unknown)).toMatchObject([{ id: 's7', error: { code: -32_602 } }])
  }
  for (const answer of [
    `{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"mode":"url","url":${url}}}}}}`,
    `{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","url":${url}}]}}}`,
  ]) {
    const { client } = await said(answer, 'out')
    expect(client.map((text) => JSON.parse(text) as unknown)).toMatchObject([{ id: 1, error: { code: -32_000 } }])
    expect(client[0]).not.toContain(JSON.parse(url))
  }
})

test.each([
  elicit('"https://example.org/a?b=c"'),
  elicit('"HTTP://example.org"'),
  '{"jsonrpc":"2.0","id":"s7","method":"elicitation/create","params":{"message":"m","requestedSchema":{"x":1.0}}}',
  '{"jsonrpc":"2.0","id":"s7","method":"sampling/createMessage","params":{"url":"file:///x"}}',
  '{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text","text":"javascript:alert(1)"}]}}',
  '{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m","data":"javascript:"}}',
])('%s passes as it is', async (text) => {
  expect(await said(text, 'out')).toEqual({ client: [text], server: [] })
})
