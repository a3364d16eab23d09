// Proves what a person meets who asks `fairlead up`, or the line to it, for what cannot be: a clear fault, an exit code, nothing left running, nothing that hangs.
import { spawn } from 'node:child_process'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { descendants, until } from '../../src/base/supervise/processes.fixture.ts'
import { createIdentity } from '../../src/base/identity/identity.ts'
import { createWallet } from '../../src/base/identity/wallet.ts'
import { freePort } from '../kit/reach-bench.ts'
import { type Ports, bed, finished, hold, isListening, orphans, ownedClient, portFlags, program, run, up, within } from './bed.ts'

const limitMs = 15_000
const parts: readonly (readonly [part: keyof Ports, name: string])[] = [
  ['registry', 'the registry'],
  ['peer', 'the peer host'],
  ['machine', 'the machine tools'],
  ['gate', 'the gate'],
]

describe('a busy port', () => {
  test.each(parts)('of the %s: exit code 5, the part and the port are named, and nothing is left', async (part, name) => {
    const port = await hold()
    const { exitCode, stdout, stderr, tookMs } = await run(bed(), ['up', '--once', ...portFlags({ [part]: port })])
    expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: '' })
    expect(stderr.match(/^fairlead: .*$/gm)).toEqual([
      `fairlead: error: ${name} cannot listen on 127.0.0.1:${port}: the port is busy`,
      `fairlead: hint: stop the program that holds it (find it with: ss -ltnp 'sport = :${port}'), or choose another port: fairlead up --${part}-port PORT`,
    ])
    expect(tookMs).toBeLessThan(limitMs)
    await until('nothing is left', () => orphans().length === 0)
  })

  test('of a node that is up already with the same files: that is told, and the other goes on', async () => {
    const place = bed()
    const first = await up(place)
    const second = await run(place, ['up', '--once', ...portFlags(first.ports)])
    expect(second).toMatchObject({ exitCode: 1, stdout: '' })
    expect(second.stderr).toContain(`fairlead: error: a node is up already with the files in ${place.home}/state\n`)
    expect(second.stderr).toContain('fairlead: hint: stop it first')
    expect((await fetch(first.shown.addresses.health)).status).toBe(200)
  })
})

describe('what was typed or written', () => {
  test.each([
    [['--onse'], /unknown option '--onse'/, /did you mean --once\?/],
    [['--gate-port', 'many'], /--gate-port.*'many' is invalid/, /see: fairlead up --help/],
    [['--gate-port', '70000'], /--gate-port 70000: there is no such port/, /up to 65535/],
    [['--peer-port', '-1'], /--peer-port -1: there is no such port/, /0 takes any free one/],
    [['more'], /too many arguments/, /see: fairlead up --help/],
  ])('%j: exit code 2, with a hint', async (words, error, hint) => {
    const { exitCode, stdout, stderr } = await run(bed(), ['up', ...words])
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(/^fairlead: error: (.*)$/m.exec(stderr)?.[1]).toMatch(error)
    expect(/^fairlead: hint: (.*)$/m.exec(stderr)?.[1]).toMatch(hint)
  })

  test.each([
    ['an unknown key', '[gate]\n\nlistne = "127.0.0.1:1"\n', /fairlead\.toml:3 gate\.listne: unknown key/],
    ['a bad value', '[gate]\nmax_sessions = 0\n', /fairlead\.toml:2 gate\.max_sessions: /],
    ['a value of another kind', '[operate.server]\nport = "http"\n', /fairlead\.toml:2 operate\.server\.port: /],
    ['what is no TOML', '[gate\n', /fairlead\.toml:1/],
    ['a rule for nobody', '[[gate.rules]]\nprincipals = ["nobody"]\nupstreams = ["*"]\n', /gate\.rules\[0\] names the principal nobody/],
    ['a name of ours', '[gate.upstreams.machine]\ncommand = ["true"]\n', /fairlead\.toml: \[gate\.upstreams\.machine\] has a name/],
    ['a principal of ours', '[gate.principals.owner]\n', /fairlead\.toml: \[gate\.principals\.owner\] has a name/],
  ])('fairlead.toml with %s: exit code 2, with file, line and key', async (_, toml, error) => {
    const { exitCode, stdout, stderr } = await run(bed(toml), ['up', '--once', ...portFlags()])
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toMatch(error)
    await until('nothing is left', () => orphans().length === 0)
  })

  test('a sealed wallet needs its passphrase: without it exit code 4, with it all works', async () => {
    const place = bed()
    const file = join(place.home, 'passphrase')
    writeFileSync(file, 'a long one\n', { mode: 0o600 })
    expect(await run(place, ['reach', 'init', '--name', 'Sealed', '--passphrase-file', file])).toMatchObject({ exitCode: 0 })
    const without = await run(place, ['up', '--once', ...portFlags()])
    expect(without).toMatchObject({ exitCode: 4, stdout: '' })
    expect(without.stderr).toMatch(
      /^fairlead: error: the wallet .*wallet\.json is sealed.*\nfairlead: hint: fairlead up --passphrase-file FILE/m,
    )
    expect(await run(place, ['up', '--once', '--passphrase-file', file, ...portFlags()])).toMatchObject({ exitCode: 0 })
  })

  test('where fairlead.toml says to listen, it listens, unless a flag says otherwise', async () => {
    const [listed, flagged] = await Promise.all([freePort(), freePort()])
    const place = bed(
      `[gate]\nlisten = "127.0.0.1:${listed}"\n[reach.registry]\nport = ${flagged}\n[reach.peer]\nport = 0\n[operate.server]\nport = 0\n`,
    )
    const child = spawn(program[0], [program[1], 'up', '--once', '--json', '--registry-port', '0'], {
      env: { ...place.env },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const { exitCode, stdout } = await finished(child)
    expect(exitCode).toBe(0)
    const { addresses } = JSON.parse(stdout) as { addresses: { gate: string; registry: string } }
    expect(addresses.gate).toBe(`http://127.0.0.1:${listed}/mcp/machine`)
    expect(addresses.registry).not.toContain(`/tcp/${flagged}/`)
  })
})

describe('who is not let in', () => {
  test('another id than the one that answers, a peer that nobody authorized, a name that nobody has: each is told, and ends', async () => {
    const { shown, ports, pid } = await up(bed())
    const stranger = bed()
    const home = join(stranger.home, 'stranger')
    mkdirSync(home)
    await createWallet(join(home, 'wallet.json'), { name: 'stranger' })
    const connect = (...words: string[]) => [...program, 'reach', 'mcp-connect', ...words, '--home', home] as const
    const address = `/ip4/127.0.0.1/tcp/${ports.peer}`

    const other = ownedClient(connect(createIdentity().peerId, '--address', address), stranger.env)
    expect(await within(limitMs, 'the end of who asked for another id', other.ended)).toBe(4)
    expect(other.stderr()).toMatch(/^fairlead: error: Handshake Failed: .*\nfairlead: hint: is this the id/m)

    const unauthorized = ownedClient(connect(shown.peerId, '--address', address), stranger.env)
    const answer = await within(limitMs, 'an answer', unauthorized.initialize())
    expect(answer.error).toMatchObject({ code: -32001, message: `not authorized by ${shown.peerId}` })
    expect(await within(limitMs, 'its end', unauthorized.ended)).toBe(4)
    expect(unauthorized.stderr()).toMatch(/^fairlead: hint: its owner must name the id/m)

    const unknown = ownedClient(connect('Nobody', '--server', `127.0.0.1:${ports.registry}`), stranger.env)
    expect(await within(limitMs, 'the end of who asked for nobody', unknown.ended)).toBe(1)
    expect(unknown.stderr()).toMatch(/^fairlead: error: Peer not found: Nobody.*\nfairlead: hint: /m)
    expect([...other.others, ...unknown.others]).toEqual([])

    expect(descendants(pid).length).toBe(1) // the guard
    expect(await isListening(ports.peer)).toBe(true)
    expect(statSync(join(home, 'wallet.json')).mode & 0o077).toBe(0)
  })

  test('over HTTP: no token, a wrong one, a path that is not there', async () => {
    const { url, token } = await up(bed())
    const post = (at: string, headers: Record<string, string>) =>
      fetch(at, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
        body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
      })
    expect((await post(url('machine'), {})).status).toBe(401)
    expect((await post(url('machine'), { authorization: 'Bearer wrong' })).status).toBe(401)
    expect((await post(url('nothing'), { authorization: `Bearer ${token}` })).status).toBe(404)
    expect((await post(url('machine'), { authorization: `Bearer ${token}`, origin: 'https://example.org' })).status).toBe(403)
  })
})
