// Proves that looking for nodes asks nobody: a token that is due is renewed by a command that uses it, and by nothing else.
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { PeerStreams } from '../base/terminal/command.ts'
import { systemClock } from '../kernel/clock.ts'
import { openNodes } from './cli/nodes.ts'
import source from './reachable.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-reachable-'))
const folders = { config: join(folder, 'config'), state: join(folder, 'state'), runtime: join(folder, 'run') }
const nobody = (): never => {
  throw new Error('no peer is asked')
}
const peers: PeerStreams = { dial: nobody, serve: nobody }
const needs = { clock: systemClock, env: {}, peers, signal: new AbortController().signal }
afterAll(() => rmSync(folder, { recursive: true }))

test('a look finds every node of mcp.toml, and leaves the identity service alone; a command renews what is due', async () => {
  let asked = 0
  const service = createServer((request, response) => {
    asked++
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"fresh","expires_in":3600}')
  }).listen(0, '127.0.0.1')
  await once(service, 'listening')
  const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}/token`
  mkdirSync(join(folders.config, 'run'), { recursive: true })
  const node = (name: string): string => `[[nodes]]\nname = "${name}"\naddress = "unix:${join(folder, name)}"\n`
  writeFileSync(join(folders.config, 'run/mcp.toml'), `[login]\nurl = "${url}"\nclient = "cli"\n${node('rift')}${node('reef')}`)
  writeFileSync(join(folders.config, 'run/token'), 'stale\n', { mode: 0o600 })
  writeFileSync(join(folders.config, 'run/token.login'), JSON.stringify({ refresh: 'again', endsAt: 1 }), { mode: 0o600 })
  expect((await source.find({ ...needs, homes: [{ folders }] })).map(({ id }) => id)).toEqual(['node.rift', 'node.reef'])
  expect(asked).toBe(0)
  expect((await openNodes({ ...needs, folders })).all).toHaveLength(2)
  expect(asked).toBe(1)
  service.close()
})
