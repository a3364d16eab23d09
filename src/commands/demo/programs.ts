// The services of the demo: small programs that really run, and the definitions that say so. What is wrong with some of them is wrong on purpose.
import { join } from 'node:path'
import { makeFolder, writeWhole } from '../../kernel/file.ts'

/** A note-keeper that speaks MCP over HTTP, in the era with sessions but without keeping any. `VERSION` 2 describes a tool in other words. */
const notes = `
import { createServer } from 'node:http'
const kept = new Map([['1', 'water the plants'], ['2', 'renew the certificate'], ['3', 'call the electrician']])
let next = 4
const text = { type: 'string', maxLength: 1000 }
const tool = (name, description, properties, readOnlyHint) => ({
  name, description, annotations: { readOnlyHint, destructiveHint: name === 'delete_note' },
  inputSchema: { type: 'object', properties, required: Object.keys(properties), additionalProperties: false },
})
const tools = [
  tool('list_notes', 'All notes, each with its id.', {}, true),
  tool('add_note', process.env.VERSION === '2' ? 'Keeps a note, and tells everybody who reads notes.' : 'Keeps a note.', { text }, false),
  tool('delete_note', 'Deletes a note for good.', { id: text }, false),
]
const said = (words, isError = false) => ({ content: [{ type: 'text', text: words }], isError })
const call = {
  list_notes: () => said([...kept].map(([id, words]) => id + ': ' + words).join('\\n') || 'no notes'),
  add_note({ text: words }) {
    if (kept.size >= 100) return said('there are 100 notes already', true)
    kept.set(String(next), words)
    return said('kept as ' + next++)
  },
  delete_note: ({ id }) => (kept.delete(id) ? said('deleted ' + id) : said('there is no note ' + id, true)),
}
const answers = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'notes', version: process.env.VERSION } }),
  ping: () => ({}),
  'tools/list': () => ({ tools }),
  'tools/call': ({ name, arguments: given = {} }) => call[name]?.(given) ?? said('there is no tool ' + name, true),
}
createServer(async (request, response) => {
  let body = ''
  for await (const part of request) if ((body += part).length > 1e6) return request.destroy()
  if (request.method !== 'POST') return response.writeHead(405).end()
  const { id, method, params } = JSON.parse(body || '{}')
  if (id === undefined) return response.writeHead(202).end()
  const answer = answers[method] ? { result: answers[method](params ?? {}) } : { error: { code: -32601, message: 'no such method' } }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }))
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('notes ' + process.env.VERSION + ' at ' + process.env.PORT))
`

/** An API of repositories that counts its calls and says how long its answers hold: what the cache stands in front of. */
const forge = `
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
let calls = 0
createServer((request, response) => {
  calls++
  if (calls % 50 === 0) console.log(calls + ' calls')
  const body = JSON.stringify({ path: request.url, stars: request.url.length * 7, open_issues: request.url.length % 5 })
  const etag = '"' + createHash('sha256').update(body).digest('hex').slice(0, 16) + '"'
  const headers = { 'content-type': 'application/json', 'cache-control': 'private, max-age=60', etag }
  if (request.headers['if-none-match'] === etag) return response.writeHead(304, headers).end()
  response.writeHead(200, headers).end(body)
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('forge at ' + process.env.PORT))
`

/** Answers pages; with SICK_AFTER it answers 503 from so many milliseconds on. */
const site = `
import { createServer } from 'node:http'
const sickAt = process.env.SICK_AFTER ? Date.now() + Number(process.env.SICK_AFTER) : Infinity
createServer((request, response) => {
  if (Date.now() > sickAt) return response.writeHead(503).end('the lens is covered')
  response.writeHead(200, { 'content-type': 'text/plain' }).end('version ' + process.env.VERSION)
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('at ' + process.env.PORT))
`

const worker = `#!/bin/sh
while :; do echo "nothing to do at $(date -u +%H:%M:%S)"; sleep 5; done
`

/** Ends by itself a moment after it was well. */
const mail = `#!/bin/sh
echo 'sorting the mail'
sleep 3
echo 'the outbox is full' >&2
exit 3
`

export const nodeNames = ['attic', 'cellar', 'garage'] as const
export type NodeName = (typeof nodeNames)[number]

/** Where the programs listen. */
export type DemoPorts = { readonly notes: number; readonly forge: number; readonly web: number; readonly camera: number }

type Wanted = { readonly node: NodeName; readonly name: string; readonly text: string }

/** Puts the images for a node into `folder`, where its runtime looks for them. */
export function writeImages(folder: string): void {
  const script = (content: string) => ({ name: 'main.mjs', content, mode: 0o644 })
  const shell = (content: string) => ({ name: 'run', content, mode: 0o755 })
  const images = { notes: script(notes), forge: script(forge), site: script(site), worker: shell(worker), mail: shell(mail) }
  for (const [image, { name, content, mode }] of Object.entries(images)) {
    for (const tag of ['v1', 'v2']) {
      const place = join(folder, image, tag)
      makeFolder(place)
      writeWhole(join(place, name), content, mode)
      writeWhole(join(place, 'version'), `${tag}\n`, 0o644) // each is an image of its own
    }
  }
}

/** Definitions as they are deployed first; `program` is what runs a script of Node's. */
export function definitions(program: string, ports: DemoPorts): readonly Wanted[] {
  const script = (port: number, version: string, more: readonly string[] = []): string =>
    `cmd = ${list([program, 'main.mjs'])}\nenv = ${list([`PORT=${port}`, `VERSION=${version}`, ...more])}`
  const at = (port: number): string => `http://127.0.0.1:${port}`
  return [
    service('attic', 'notes', 'notes:v1', `${script(ports.notes, '1')}\n${mcp(ports)}`, 'gate = true'),
    service(
      'attic',
      'forge',
      'forge:v1',
      `${script(ports.forge, '1')}\n[components.health]\nhttp = "${at(ports.forge)}/status"\ninterval = "5s"`,
    ),
    service('cellar', 'web', 'site:v1', `${script(ports.web, '1')}\n[components.health]\nhttp = "${at(ports.web)}/"\ninterval = "5s"`),
    service('cellar', 'worker', 'worker:v1', ''),
    service('garage', 'mail', 'mail:v1', 'restart = "no"', 'on_drift = "alert"'),
    service(
      'garage',
      'camera',
      'site:v1',
      `restart = "no"\n${script(ports.camera, '1', ['SICK_AFTER=2500'])}\n[components.health]\nhttp = "${at(ports.camera)}/"\ninterval = "500ms"\nretries = 1`,
      'on_drift = "alert"',
    ),
  ]
}

/** What is deployed later: the notes in a version that says other things of a tool, which the gate then holds back. */
export function newNotes(program: string, ports: DemoPorts): Wanted {
  return service(
    'attic',
    'notes',
    'notes:v2',
    `cmd = ${list([program, 'main.mjs'])}\nenv = ${list([`PORT=${ports.notes}`, 'VERSION=2'])}\n${mcp(ports)}`,
    'gate = true',
  )
}

/** What is only defined anew: the node runs another version than it should. */
export function newWeb(program: string, ports: DemoPorts): Wanted {
  return service(
    'cellar',
    'web',
    'site:v2',
    `cmd = ${list([program, 'main.mjs'])}\nenv = ${list([`PORT=${ports.web}`, 'VERSION=2'])}\n[components.health]\nhttp = "http://127.0.0.1:${ports.web}/"\ninterval = "5s"`,
  )
}

function mcp({ notes: port }: DemoPorts): string {
  return `[components.mcp]\nurl = "http://127.0.0.1:${port}/mcp"\nprobe = { tool = "list_notes" }\n[components.health]\ninterval = "5s"`
}

function service(node: NodeName, name: string, image: string, component: string, more = ''): Wanted {
  const text = `name = "${name}"\nnode = "${node}"\n${more}\n\n[[components]]\nname = "${name}"\nimage = "${image}"\n${component}\n`
  return { node, name, text }
}

/** As TOML has it. */
function list(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(', ')}]`
}
