// Roles, rules about arguments, and limits, through every door: what is refused reaches no server, is told in words, and stands in the record.
import { describe, expect, test } from 'vitest'
import { doorsAndEras, listingServer, openGate, tool } from './doors.ts'

const everything = '[[gate.rules]]\nprincipals = ["*"]\nupstreams = ["*"]\ntools = ["*"]\n'
const roles = `
[gate.principals.ann]
token_sha256 = "${'0'.repeat(64)}"
peers = ["12D3ann"]
roles = ["reader"]
`

describe.each(doorsAndEras)('%s, %s client', (door, era) => {
  test('a role is its rules, for whoever holds it; a rule about arguments holds for the bytes that reach the server', async () => {
    const { tokenHash } = await import('../../src/base/access/principal.ts')
    const far = listingServer([tool('read'), tool('write'), tool('stat')])
    const gate = await openGate(door, era, {
      command: far.command,
      access: `${roles.replace('0'.repeat(64), tokenHash('ann'))}
[gate.principals.bob]
token_sha256 = "${tokenHash('bob')}"
peers = ["12D3bob"]
[[gate.roles.reader.rules]]
upstreams = ["up"]
tools = ["read"]
arguments = { path = { below = "/srv" }, limit = { max = 10, optional = true }, mode = ["r", "r?*"] }
[[gate.rules]]
principals = ["bob"]
upstreams = ["up"]
tools = ["write"]
`,
    })
    const ann = await gate.client()
    expect(await ann.tools()).toEqual(['read'])
    const good = { path: '/srv/a', mode: 'r', more: { path: '/etc' } }
    expect((await ann.call('read', good)).result).toMatchObject({ content: [{ text: JSON.stringify(good) }] })
    const bad = [
      { ...good, path: '/srv/../etc/passwd' },
      { ...good, path: ['/srv/a'] },
      { ...good, limit: 11 },
      { ...good, mode: 'w' },
      { ...good, Path: '/etc' },
      { mode: 'r' },
    ]
    for (const given of bad)
      expect((await ann.call('read', given)).error).toMatchObject({
        code: -32_001,
        message: expect.stringContaining('no rule lets ann use the tool read of up like this') as string,
      })
    expect((await ann.call('write')).error?.message).toBe('no rule lets ann use the tool write of up')
    expect((await (await gate.client({ as: 'bob' })).call('read', good)).error?.message).toBe('no rule lets bob use the tool read of up')
    expect(far.received('tools/call')).toHaveLength(1)
    const refused = gate.lines().filter(({ event }) => event === 'refused')
    expect(refused).toHaveLength(bad.length + 2)
    expect(JSON.stringify(refused)).not.toContain('/etc')
  })

  test('limits: refused with when to try again, counted for each principal and tool', async () => {
    const far = listingServer([tool('read'), tool('write'), tool('stat')])
    const gate = await openGate(door, era, {
      command: far.command,
      access: `${everything}
[[gate.limits]]
tools = ["stat"]
concurrent = 1
[[gate.limits]]
tools = ["read"]
calls_per_minute = 1
burst = 2
[[gate.limits]]
tools = ["write"]
bytes_per_minute = 2_000
`,
    })
    const ann = await gate.client()
    expect([await ann.call('read'), await ann.call('read')].every(({ result }) => result)).toBe(true)
    expect((await ann.call('read')).error).toMatchObject({
      code: -32_003,
      message: expect.stringMatching(/^ann may use read of up for 1 calls a minute: try again in (60|59) s$/) as string,
      data: { code: 'gate.limited', retryAfterSeconds: expect.closeTo(60, -1) as number },
    })
    expect((await (await gate.client({ as: 'bob' })).call('read')).result).toBeDefined()
    expect((await ann.call('write', { text: 'x'.repeat(1_000) })).result).toBeDefined() // and as much in the result
    expect((await ann.call('write')).error).toMatchObject({
      code: -32_003,
      message: expect.stringContaining('2000 bytes a minute') as string,
    })
    for (let at = 0; at < 3; at++) expect((await ann.call('stat')).result).toBeDefined() // one after the other
    expect(far.received('tools/call')).toHaveLength(7)
    expect(gate.lines().filter(({ event, reason }) => event === 'refused' && String(reason).includes('try again'))).toHaveLength(2)
  })
})
