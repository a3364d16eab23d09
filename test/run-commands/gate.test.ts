// A service that speaks MCP is at the gate by itself, with its health, for as long as it should run.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { gateFor, send } from '../gate/bed.ts'
import { fixtureOn } from '../gate/far-ends.ts'
import * as raw from '../kit/raw-client.ts'
import { Bed } from './bed.ts'

test('deployed, called through the gate, marked when it is ill, gone when it is stopped', async () => {
  const bed = new Bed()
  const agent = await bed.agent('rift')
  const server = await fixtureOn()
  await bed.mcp(['node', 'add', 'rift', `unix:${agent.socket}`])
  const notes = (url: string): void =>
    writeFileSync(
      join(bed.services, 'notes.toml'),
      `name = "notes"\nnode = "rift"\ngate = true\n[[components]]\nname = "notes"\nimage = "reg:5000/notes:v1"\n[components.health]\ninterval = "200ms"\nretries = 1\n[components.mcp]\nurl = "${url}"\nprobe = { tool = "echo", arguments = { text = "well" }, expect = "well" }\n`,
    )
  notes(server.url)
  const rules = '[[gate.rules]]\nprincipals = ["conformance"]\nupstreams = ["notes"]\ntools = ["*"]\n'
  const gate = await gateFor({ upstreams: {}, settings: `${rules}[gate.offers.rift]\ncontrol = "${agent.socket}"\n` })
  const status = async (): Promise<number> => (await send(gate.url('notes'), '{}')).status
  expect(await status()).toBe(404)

  expect(await bed.mcp(['deploy', 'notes'])).toMatchObject({ exitCode: 0 })
  await expect.poll(status, { timeout: 10_000 }).not.toBe(404)
  const session = await raw.openSession(gate.url('notes'))
  expect(raw.textOf(await (await session.call(1, 'echo', { text: 'through the gate' })).answer())).toBe('through the gate')

  const health = async (): Promise<string> => (await send(`http://127.0.0.1:${gate.port}/health`, undefined, { httpMethod: 'GET' })).text
  await server.stop()
  await expect.poll(health, { timeout: 15_000 }).toMatch(/"upstream notes":\{"ok":false/)

  await bed.mcp(['stop', 'notes'])
  await expect.poll(status, { timeout: 10_000 }).toBe(404)
}, 60_000)
