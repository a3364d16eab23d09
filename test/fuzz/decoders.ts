// Every decoder of bytes that come from outside, with samples of what it accepts: one entry each.
import { createHash } from 'node:crypto'
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { Duplex } from 'node:stream'
import { readHello } from '../../src/base/http/route/client-hello.ts'
import { ndjsonReader } from '../../src/base/control/ndjson.ts'
import { createIdentity } from '../../src/base/identity/identity.ts'
import { openRecord, signRecord } from '../../src/base/identity/record.ts'
import { readKeys } from '../../src/base/identity/ssh-agent.ts'
import { openCheckpoint, signCheckpoint } from '../../src/base/ledger/checkpoint.ts'
import { parseGrowth } from '../../src/base/ledger/proving.ts'
import { genesis, seal, checkLine } from '../../src/base/ledger/line.ts'
import { SseReader } from '../../src/base/mcp/door/sse.ts'
import { MessageReader, bodyOf, jsonBytes, messageBytes, refusalOf, types } from '../../src/base/peer/tunnel/message.ts'
import { lanAnswer, lanAnswerPort, lanQuestion, lanQuestionId } from '../../src/base/peer/lan/packet.ts'
import { hopTypes, relayBytes, relayMessage } from '../../src/base/peer/relay/message.ts'
import { scan } from '../../src/base/wire/scan.ts'
import { packTar, unpackTar } from '../../src/reach/backup/tar.ts'
import { openOffer, signOffer } from '../../src/reach/file/offer.ts'
import { readFileAnswer } from '../../src/reach/file/protocol.ts'
import { jsonFrame, readJson } from '../../src/reach/json-frames.ts'
import { readJsonc } from '../../src/reach/client/jsonc.ts'
import { kadAnswerValue, kadRequestValue, readKadAnswer, readKadRequest } from '../../src/reach/kad/protocol.ts'
import * as mailbox from '../../src/reach/mailbox/protocol.ts'
import { openMessage, openReceipt, signMessage, signReceipt } from '../../src/reach/message/message.ts'
import * as messages from '../../src/reach/message/protocol.ts'
import { openCard, signCard } from '../../src/reach/node/peer-card.ts'
import * as registry from '../../src/reach/registry/protocol.ts'
import { BadMessage, encode, messagesIn } from '../../src/share/cluster/messages.ts'
import { type Answer, open as openEntry, seal as sealEntry } from '../../src/share/entry/entry.ts'
import { aloneGroup } from '../../src/share/entry/group.ts'

export type Decoder = {
  readonly name: string
  /** What it reads without complaint. */
  readonly samples: readonly Uint8Array[]
  /** Gives a value or throws a fault, or exactly such an error where one is named; nothing else. */
  readonly decode: (bytes: Buffer) => unknown
  readonly throws?: new (message?: string) => Error
}

const now = 1_790_000_000_000
const [alice, bob] = [createIdentity(Buffer.alloc(32, 1)), createIdentity(Buffer.alloc(32, 2))]
const text = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
const parsed = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined // JSON itself is not ours
  }
}
const { id, signed } = await signMessage(alice, bob.peerId, 'hello, bob', now)
const card = await signCard(alice, { name: 'alice', addresses: ['/ip4/192.0.2.1/tcp/8766'], sequence: 3, expiresAt: now + 60_000 })
const call = {
  jsonrpc: '2.0',
  id: 'a-1',
  method: 'tools/call',
  params: { name: 'x', arguments: { a: [1, -2.5e3, 'é\u{1f600}'] }, _meta: { progressToken: 7 } },
}
const offer = await signOffer(alice, { to: bob.peerId, id, name: 'a.txt', sizeBytes: 5, sha256: 'a'.repeat(64) }, now)
const note = await signCheckpoint(alice, { ledger: 'fuzz/calls', chain: 'A'.repeat(43), size: 0, root: createHash('sha256').digest() })
const cacheGroup = aloneGroup(Buffer.alloc(32, 3))
const entryWith = (answer: Answer): Promise<Uint8Array> =>
  sealEntry({ key: 'k', atMs: now, ttlMs: 1_000, asker: 'a', answer }, cacheGroup, alice)
/** Of TLS 1.3, for web.example. */
const clientHello = Buffer.from(
  '160301006c01000068030311111111111111111111111111111111111111111111111111111111111111112022222222222222222222222222222222222222222222222222222222222222220004130113020100001b00000010000e00000b7765622e6578616d706c65002b0003020304',
  'hex',
)
const line = seal(1, '2026-11-20T00:00:00.000Z', '"event":"x","n":1', genesis('test').hash).line

export const decoders: readonly Decoder[] = [
  {
    name: 'a frame',
    samples: [
      text(call),
      text({ jsonrpc: '2.0', id: 1, result: { content: [] } }),
      text({ jsonrpc: '2.0', id: null, error: { code: -32700, message: '' } }),
    ],
    decode: (bytes) => scan(bytes),
  },
  {
    name: 'the messages of a tunnel',
    samples: [
      messageBytes(types.hello, 0, 0, jsonBytes({ version: 1, maxFrameBytes: 1 << 20, session: 's', token: 't' })),
      Buffer.concat([messageBytes(types.frame, 1, 0, text(call)), messageBytes(types.ack, 0, 1), messageBytes(types.close, 1, 1)]),
      messageBytes(types.refused, 0, 0, jsonBytes({ code: 'busy', reason: 'full' })),
    ],
    decode(bytes) {
      const reader = new MessageReader()
      reader.maxFrameBytes = 1 << 16
      reader.feed(bytes, (message) => {
        if (message.type === types.refused) refusalOf(message)
        else if (message.type < types.frame) bodyOf(message)
        return true
      })
    },
  },
  {
    name: 'the first bytes of a TLS client',
    samples: [clientHello],
    decode: (bytes) => readHello(bytes),
  },
  {
    name: 'a signed record',
    samples: [await signRecord(alice, 'fuzz', { sequence: 1, expiresAt: now, list: [1, 'two', { three: true }] })],
    decode: (bytes) => openRecord('fuzz', bytes, 0),
  },
  { name: 'a signed message', samples: [signed], decode: openMessage },
  {
    name: 'a receipt',
    samples: [await signReceipt(bob, id, signed, now)],
    decode: (bytes) => openReceipt(bytes, { to: bob.peerId, id, signed }),
  },
  { name: 'a card', samples: [card], decode: (bytes) => openCard(bytes, now) },
  {
    name: 'a request for a message',
    samples: [text(messages.requestValue(signed))],
    decode: (bytes) => messages.readRequest(parsed(bytes)),
  },
  {
    name: 'an answer to a message',
    samples: [text(messages.answerValue({ receipt: signed })), text({ refused: { code: 'x', kind: 'denied', message: 'no' } })],
    decode: (bytes) => messages.readAnswer(bob.peerId, parsed(bytes)),
  },
  {
    name: 'a request at the registry',
    samples: [
      { do: 'publish', card } as const,
      { do: 'lookup', peer: 'alice' } as const,
      { do: 'list', after: 'x', limit: 9 } as const,
    ].map((request) => text(registry.requestValue(request))),
    decode: (bytes) => registry.readRequest(parsed(bytes)),
  },
  {
    name: 'an answer of the registry',
    samples: [
      text({ ok: { now, cards: [{ card: 'x', ageMs: 5 }], more: true } }),
      text({ refused: { code: 'x', kind: 'limited', message: 'no', known: 4 } }),
    ],
    decode: (bytes) => registry.readAnswer(parsed(bytes)),
  },
  {
    name: 'JSON with its length before it',
    samples: [Buffer.concat([jsonFrame({ do: 'list' }), jsonFrame([1, 2, 3])])],
    async decode(bytes) {
      for await (const value of readJson(Duplex.from([bytes]), 1 << 12)) void value
    },
  },
  {
    name: 'server-sent events',
    samples: [text('id: 1\nevent: message\ndata: {"a":1}\ndata: 2\n\n: ping\r\n\r\nretry: 100\rdata: x\r\r'), text('\ufeffdata: y\n\n')],
    decode: (bytes) => new SseReader(1 << 12, () => {}).take(bytes),
  },
  {
    name: 'lines of JSON',
    samples: [text('{"item":1}\n\n{"result":{}}\n')],
    decode: (bytes) => ndjsonReader(1 << 16).push(bytes),
    throws: Error,
  },
  {
    name: 'a question and an answer on the local network',
    samples: [lanQuestion(alice.peerId, 7), lanAnswer(alice.peerId, 7, 8766)],
    decode: (bytes) => [lanQuestionId(bytes, alice.peerId), lanAnswerPort(bytes, alice.peerId, 7)],
  },
  {
    name: 'a question to the hash table',
    samples: [text(kadRequestValue({ find: bob.peerId })), text(kadRequestValue({ find: bob.peerId, card }))],
    decode: (bytes) => readKadRequest(parsed(bytes)),
  },
  {
    name: 'an answer of the hash table',
    samples: [text(kadAnswerValue([])), text(kadAnswerValue([card, card]))],
    decode: (bytes) => readKadAnswer(parsed(bytes), now),
  },
  { name: 'a line of a ledger', samples: [text(line)], decode: (bytes) => checkLine(bytes) },
  {
    name: 'a request at a mailbox',
    samples: [
      mailbox.requestValue({ do: 'leave', to: bob.peerId, item: signed }),
      { do: 'fetch', waitMs: 5 },
      { do: 'remove', ids: ['A'.repeat(43)] },
    ].map(text),
    decode: (bytes) => mailbox.readRequest(parsed(bytes)),
  },
  {
    name: 'an answer of a mailbox',
    samples: [text(mailbox.answerValue({ ok: { now, expiresAt: now + 5, items: [signed] } }))],
    decode: (bytes) => mailbox.readAnswer(parsed(bytes)),
  },
  { name: 'an offer of a file', samples: [offer], decode: openOffer },
  {
    name: 'an answer to an offer',
    samples: [text({ held: 5, rate: 16 << 20 }), text({ receipt: 'AAAA' })],
    decode: (bytes) => readFileAnswer(bob.peerId, 100, parsed(bytes)),
  },
  { name: 'a checkpoint', samples: [text(note)], decode: (bytes) => openCheckpoint(bytes.toString()) },
  {
    name: 'a request to a witness',
    samples: [text(`old 0\n\n${note}`)],
    decode: (bytes) => parseGrowth(bytes.toString()),
  },
  {
    name: 'a message of a relay',
    samples: [
      relayBytes('hop', { type: hopTypes.connect, peer: bob.peerId }).subarray(1),
      relayBytes('hop', { type: hopTypes.status, status: 100 }).subarray(1),
    ],
    decode: (bytes) => relayMessage('hop', bytes),
    throws: Error,
  },
  { name: 'a backup', samples: [packTar([{ name: 'wallet.json', bytes: text('{}'), modifiedAt: now }])], decode: unpackTar },
  {
    name: 'the keys of an agent',
    samples: [
      Buffer.concat([
        Buffer.from([12, 0, 0, 0, 1, 0, 0, 0, 51, 0, 0, 0, 11]),
        text('ssh-ed25519'),
        Buffer.from([0, 0, 0, 32]),
        Buffer.alloc(32, 7),
        Buffer.from([0, 0, 0, 1, 0x61]),
      ]),
    ],
    decode: readKeys,
    throws: RangeError,
  },
  {
    name: 'JSON with comments',
    samples: [text('{ // a client\n "mcpServers": { "x": { "command": "y", "args": ["a",], } /* end */ } }')],
    decode: (bytes) => readJsonc(bytes.toString(), 'settings.json'),
  },
  {
    name: 'a sealed entry of a cache',
    samples: [await entryWith({ status: 200, headers: [['ETag', '"1"']], body: text('{"a":1}') })],
    decode: (bytes) => openEntry(bytes, 'k', cacheGroup, now),
  },
  {
    name: 'what a member sealed that lies',
    samples: [text([['ETag', '"1"'], ['X-A', 'b\tc']])], // prettier-ignore
    async decode(bytes) {
      const opened = openEntry(
        await entryWith({ status: 200, headers: parsed(bytes) as Answer['headers'], body: bytes }),
        'k',
        cacheGroup,
        now,
      )
      if (opened.is !== 'entry') return
      for (const [name, value] of opened.entry.answer.headers) {
        validateHeaderName(name)
        validateHeaderValue(name, value)
      }
    },
  },
  {
    name: 'messages of a group',
    samples: [
      encode({ is: 'hello', nonce: 'n' }),
      Buffer.concat([encode({ is: 'want', id: 1, key: 'k' }), encode({ is: 'entry', id: 1 }, text('sealed'))]),
      encode({ is: 'done', key: 'k', subject: 's', outcome: 'kept' }, text('sealed')),
      encode({ is: 'forget', subjects: ['s'] }),
    ],
    async decode(bytes) {
      for await (const received of messagesIn(Duplex.from([bytes]))) void received
    },
    throws: BadMessage,
  },
]
