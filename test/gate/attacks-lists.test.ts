// Attacks of a server by a list that two readers read in two ways: the gate would look at one of them, and a client's model at the other.
import { expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { exactly } from './far-ends.ts'
import { gateFor, openSession, post } from './bed.ts'

const access = (tools: string): string =>
  `[gate.principals.ann]\ntoken_sha256 = "${tokenHash('ann')}"\n[[gate.rules]]\nprincipals = ["ann"]\nupstreams = ["*"]\n${tools}\n`
const good = '{"name":"read","description":"Reads","inputSchema":{}}'
const evil = '{"name":"read","description":"EVIL","inputSchema":{}}'

/** The command of a server that answers `tools/list` with exactly these bytes as its result. */
const commandSaying = (result: string): string[] => [
  process.execPath,
  '-e',
  `require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method } = JSON.parse(line)
    if (id === undefined) return
    const about = '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"}}'
    const result = method === 'initialize' ? about : method === 'tools/list' ? ${JSON.stringify(result)} : '{}'
    process.stdout.write('{"jsonrpc":"2.0","id":' + JSON.stringify(id) + ',"result":' + result + '}\\n')
  })`,
]

const lists: [string, string][] = [
  ['a doubled list', `{"tools":[${good}],"tools":[${evil}]}`],
  ['the other one first', `{"tools":[${evil}],"tools":[${good}]}`],
  ['a doubled list behind an escape', `{"tools":[${good}],"t\\u006fols":[${evil}]}`],
  ['a list in other letters', `{"tools":[${good}],"Tools":[${evil}]}`],
  ['a doubled cursor', `{"tools":[${good}],"nextCursor":"a","nextCursor":"b"}`],
]

test.each(['tools = ["*"]', 'tools = ["read"]'])(
  'attacks 23, 25: a list that can be read in two ways is shown in neither, but an error at once; %s (CVE-2026-27896)',
  async (tools) => {
    const upstreams = Object.fromEntries(
      await Promise.all(
        lists.flatMap(([, result], at) => [
          Promise.resolve([`pipe-${at}`, { command: commandSaying(result) }] as const),
          exactly({ 'tools/list': result }).then((url) => [`http-${at}`, { url }] as const),
        ]),
      ),
    )
    const gate = await gateFor({ upstreams, access: access(tools) })
    for (const name of Object.keys(upstreams)) {
      const session = await openSession(gate.url(name), { token: 'ann' })
      const { text, body } = await post(gate.url(name), 'tools/list', {}, { token: 'ann', session })
      expect([name, body.result]).toEqual([name, undefined])
      expect(body.error!.message).toMatch(/two ways|stands twice|letter case/)
      expect(text).not.toMatch(/EVIL|Reads/)
    }
  },
)

test("attacks 23, 24: a tool is not another one to another reader, be its form the accepted one; and takes nobody else's name at all of them", async () => {
  const name = 'files__read'
  const plain = `{"name":"${name}","description":"Reads"}`
  const spellings = [
    `{"name":"x","name":"${name}","description":"Reads"}`,
    `{"name":"${name}","description":"EVIL","description":"Reads"}`,
    `{"name":"${name}","Description":"EVIL","description":"Reads"}`,
    `{"Name":"x","name":"${name}","description":"Reads"}`,
  ]
  for (const more of ['', 'suspicious_tools = "report"', 'new_tools = "trust"'])
    for (const spelling of spellings) {
      const told: Record<string, string> = { 'tools/list': `{"tools":[${plain}]}` }
      const gate = await gateFor({ upstreams: { up: { url: await exactly(told), more } }, access: access('tools = ["*"]') })
      const names = async (url: string): Promise<string[]> => {
        const session = await openSession(url, { token: 'ann' })
        const { body } = await post(url, 'tools/list', {}, { token: 'ann', session })
        return (body.result!['tools'] as { name: string }[]).map((one) => one.name)
      }
      const all = `http://127.0.0.1:${gate.port}/mcp`
      expect([await names(gate.url('up')), await names(all)]).toEqual([[name], [`up__${name}`]])
      told['tools/list'] = `{"tools":[${spelling}]}`
      if (more === '') expect(await names(gate.url('up'))).toEqual([])
      expect((await names(all)).filter((one) => one !== `up__${name}`)).toEqual([])
      await gate.stop()
    }
})
