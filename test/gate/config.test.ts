// What a person is told who wrote a configuration that the gate will not run with: file, line, key, and what to do.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from './bed.ts'
import { main } from '../kit/program.ts'

const launcher = fileURLToPath(new URL('../../bin/fairlead', import.meta.url))
const hash = '0'.repeat(64)

/** Runs `gate serve` on this configuration, which must end by itself. */
async function serve(
  toml: string,
  argv: readonly string[] = [process.execPath, main],
): Promise<{ exitCode: number; stderr: string; file: string }> {
  const folder = temporaryFolder()
  const file = join(folder, 'fairlead.toml')
  writeFileSync(file, toml.replaceAll('STATE', JSON.stringify(folder)))
  const child = spawn(argv[0]!, [...argv.slice(1), 'gate', 'serve', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  const stop = setTimeout(() => child.kill('SIGKILL'), 15_000)
  const [chunks, [exitCode]] = await Promise.all([child.stderr.toArray() as Promise<Buffer[]>, once(child, 'exit') as Promise<[number]>])
  clearTimeout(stop)
  return { exitCode, stderr: Buffer.concat(chunks).toString('utf8'), file }
}

const issuer = (keys: string): string =>
  `[gate.issuers.corp]\nissuer = "https://login.example.com"\n${keys}\n`.replace(/\n\n$/, '\n') + 'principals = { "1" = "ann" }\n'

describe('line and key', () => {
  test.each([
    ['an unknown key', '[gate]\nlisten = "127.0.0.1:0"\nlisen = "x"\n', 3, 'lisen', /listen/],
    [
      'an unknown key of an upstream',
      '[gate]\nstate = STATE\n[gate.upstreams.up]\ncommand = ["x"]\nisolaton = "shared"\n',
      5,
      'gate.upstreams.up.isolaton',
      /isolation/,
    ],
    ['a wrong kind of value', '[gate]\nmax_sessions = "many"\n', 2, 'gate.max_sessions', /number/],
    ['a value of no known name', '[gate.upstreams.up]\ncommand = ["x"]\nisolation = "mine"\n', 3, 'gate.upstreams.up.isolation', /session/],
    ['a duration that is none', '[gate.upstreams.up]\ncommand = ["x"]\nidle = "soon"\n', 3, 'gate.upstreams.up.idle', /duration/],
    [
      'two ways to one server',
      '[gate.upstreams.up]\ncommand = ["x"]\nurl = "http://127.0.0.1:1/mcp"\n',
      1,
      'gate.upstreams.up',
      /exactly one of/,
    ],
    [
      'a token where its hash belongs',
      '[gate.principals.me]\ntoken_sha256 = "my-very-own-token"\n',
      2,
      'gate.principals.me.token_sha256',
      /sha256sum/,
    ],
    [
      'a credential in the file',
      '[gate.upstreams.up]\nurl = "http://127.0.0.1:1/mcp"\ntoken = "in-the-open"\n',
      3,
      'gate.upstreams.up.token',
      /may not stand in this file/,
    ],
    ['a principal whom a pattern would mean', '[gate.principals."a*"]\npeers = ["12D3"]\n', 1, 'gate.principals."a*"', /without \*/],
    ['a fingerprint that is none', '[gate.upstreams.up]\ncommand = ["x"]\npins = { t = "abc" }\n', 3, 'gate.upstreams.up.pins.t', /64/],
    [
      'an argument of which nothing is said',
      '[[gate.rules]]\nprincipals = ["me"]\nupstreams = ["up"]\ntools = ["t"]\narguments.a = { optional = true }\n',
      5,
      'gate.rules[0].arguments.a',
      /needs one of is, below, min and max/,
    ],
    [
      'two arguments that differ in letter case',
      '[[gate.rules]]\nprincipals = ["me"]\nupstreams = ["up"]\ntools = ["t"]\narguments = { a = 1, A = 2 }\n',
      5,
      'gate.rules[0].arguments',
      /letter case/,
    ],
    ['a limit without a number', '[[gate.limits]]\ntools = ["t"]\n', 1, 'gate.limits[0]', /needs one of calls_per_minute/],
    [
      'a password in an address',
      '[gate.upstreams.up]\nurl = "http://me:in-the-open@127.0.0.1:1/mcp"\n',
      2,
      'gate.upstreams.up.url',
      /token = \{ file = "PATH" \}/,
    ],
    [
      'a token that would be readable on the way',
      '[gate.upstreams.up]\nurl = "http://mcp.example.com/mcp"\ntoken = { env = "HOME" }\n',
      3,
      'gate.upstreams.up.token',
      /must be https/,
    ],
    [
      'the same for an older server',
      '[gate.upstreams.up]\nsse = "http://10.0.0.1/sse"\ntoken = { env = "HOME" }\n',
      3,
      'gate.upstreams.up.token',
      /must be https/,
    ],
    [
      'a time beyond all use',
      '[gate.upstreams.up]\ncommand = ["x"]\nrequest_timeout = "400d"\n',
      3,
      'request_timeout',
      /from 100ms to 365d/,
    ],
    [
      'a set of keys that anybody on the way could change',
      issuer('jwks_url = "http://login.example.com/keys"'),
      3,
      'gate.issuers.corp.jwks_url',
      /must be https/,
    ],
    ['an issuer without keys', issuer(''), 1, 'gate.issuers.corp', /exactly one of jwks_url and jwks_file/],
    ['no algorithm', issuer('jwks_file = "k"\nalgorithms = []'), 4, 'gate.issuers.corp.algorithms', /1/],
    ['the algorithm none', issuer('jwks_file = "k"\nalgorithms = ["none"]'), 4, 'gate.issuers.corp.algorithms', /RS256/],
    ['a shared secret', issuer('jwks_file = "k"\nalgorithms = ["HS256"]'), 4, 'gate.issuers.corp.algorithms', /RS256/],
    ['an address with a path', '[gate]\npublic_url = "https://mcp.example.com/"\n', 2, 'gate.public_url', /no slash at the end/],
    [
      'a socket that others may not open but read',
      '[gate.sockets.s]\npath = "s"\nprincipal = "ann"\nmode = "644"\n',
      4,
      'gate.sockets.s.mode',
      /600, 660 or 666/,
    ],
    [
      'Cloudflare Access for nobody',
      '[gate.cloudflare_access]\nteam = "https://x.cloudflareaccess.com"\naudience = "a"\n',
      1,
      'gate.cloudflare_access',
      /principals or service_tokens/,
    ],
    ['a line that is no TOML', '[gate]\nlisten = \n', 2, '', /./],
  ])('%s', async (_what, toml, line, key, words) => {
    const { exitCode, stderr, file } = await serve(toml)
    expect(exitCode).toBe(2)
    expect(stderr).toContain(`${file}:${line}`)
    expect(stderr).toContain(key)
    expect(stderr).toMatch(words)
    expect(stderr).toContain('fairlead: hint:')
    expect(stderr).not.toMatch(/my-very-own-token|in-the-open/)
  })
})

describe('attack 30: what would let strangers in', () => {
  const ann = `[gate.principals.ann]\ntoken_sha256 = "${hash}"\n`
  test.each([
    ['a door that others can reach', `[gate]\nstate = STATE\nlisten = "0.0.0.0:0"\ndoor = "ann"\n${ann}`, /gate\.door lets everyone in/],
    ['a door on every IPv6 address', `[gate]\nstate = STATE\nlisten = "[::]:0"\ndoor = "ann"\n${ann}`, /gate\.door lets everyone in/],
    [
      'no credential at all on an open address',
      `[gate]\nstate = STATE\nlisten = "0.0.0.0:0"\n[gate.principals.ann]\n`,
      /no principal has a credential/,
    ],
    ['a door to nobody', '[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\ndoor = "bob"\n', /gate\.door names the principal bob/],
    [
      'a rule for nobody',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n${ann}[[gate.rules]]\nprincipals = ["anne"]\nupstreams = ["*"]\n`,
      /gate\.rules\[0\] names the principal anne/,
    ],
    [
      'a rule for a server that is not there',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n${ann}[[gate.rules]]\nprincipals = ["ann"]\nupstreams = ["fils"]\n`,
      /gate\.rules\[0\] names the upstream fils/,
    ],
    [
      'a role that nobody has declared',
      '[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n[gate.principals.me]\nroles = ["reader"]\n',
      /gate\.principals\.me\.roles names the role reader/,
    ],
    [
      'a limit for nobody',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n${ann}[[gate.limits]]\nprincipals = ["anne"]\nconcurrent = 1\n`,
      /gate\.limits\[0\] names the principal anne/,
    ],
    [
      'one token for two people',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n${ann}[gate.principals.bob]\ntoken_sha256 = "${hash}"\n`,
      /ann and bob/,
    ],
    [
      'a door behind Cloudflare Access',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\ndoor = "ann"\n${ann}[gate.cloudflare_access]\nteam = "https://x.cloudflareaccess.com"\naudience = "a"\nprincipals = { "a@b" = "ann" }\n`,
      /there is gate\.cloudflare_access, .*gate\.door lets everyone in/,
    ],
    [
      'a door behind a public address',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\ndoor = "ann"\npublic_url = "https://mcp.example.com"\n${ann}`,
      /gate\.public_url is https:\/\/mcp\.example\.com, .*gate\.door lets everyone in/,
    ],
    [
      'sockets alone on an open address',
      `[gate]\nstate = STATE\nlisten = "0.0.0.0:0"\n[gate.principals.ann]\n[gate.sockets.s]\npath = "s"\nprincipal = "ann"\n`,
      /no principal has a credential/,
    ],
    [
      'tokens for an address that nobody has said',
      `[gate]\nstate = STATE\nlisten = "0.0.0.0:0"\n[gate.principals.ann]\n${issuer('jwks_url = "https://login.example.com/keys"')}`,
      /what clients call the gate is not said/,
    ],
    [
      'an issuer that knows somebody who is nobody',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n${issuer('jwks_url = "https://login.example.com/keys"')}`,
      /gate\.issuers\.corp\.principals names the principal ann/,
    ],
    [
      'a service token of nobody',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n[gate.cloudflare_access]\nteam = "https://x.cloudflareaccess.com"\naudience = "a"\nservice_tokens = { "x" = "bob" }\n`,
      /gate\.cloudflare_access\.service_tokens names the principal bob/,
    ],
    [
      'a socket of nobody',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n[gate.sockets.s]\npath = "s"\nprincipal = "bob"\n`,
      /the socket .*s names the principal bob/,
    ],
    [
      'one socket for two people',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n${ann}[gate.principals.bob]\n[gate.sockets.a]\npath = "s"\nprincipal = "ann"\n[gate.sockets.b]\npath = "s"\nprincipal = "bob"\n`,
      /ann and bob/,
    ],
    [
      'one issuer twice',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n${ann}${['a', 'b'].map((name) => issuer('jwks_url = "https://login.example.com/keys"').replace('corp', name)).join('')}`,
      /gate\.issuers\.a and gate\.issuers\.b are both https:\/\/login\.example\.com/,
    ],
    [
      'a file of keys that is not there',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n${ann}${issuer('jwks_file = "none.json"')}`,
      /gate\.issuers\.corp\.jwks_file is no file of keys: .*there is no file/,
    ],
    [
      'a credential that is not there',
      `[gate]\nstate = STATE\nlisten = "127.0.0.1:0"\n[gate.upstreams.up]\nurl = "http://127.0.0.1:1/mcp"\ntoken = { env = "NOT_SET_ANYWHERE" }\n`,
      /NOT_SET_ANYWHERE/,
    ],
  ])('%s', async (_what, toml, words) => {
    const { exitCode, stderr } = await serve(toml)
    expect(exitCode).toBe(2)
    expect(stderr).toMatch(words)
    expect(stderr).toContain('fairlead: hint:')
  })
})

test.each([
  'http://169.254.169.254/latest/',
  'http://[::ffff:169.254.169.254]/',
  'http://2852039166/',
  'http://0251.0376.0251.0376/',
  'http://0/',
  'http://127.0.0.1.example.com/',
  'http://localhost.example.com/',
  'http://127.0.0.1@example.com/',
  'file:///etc/passwd',
  'gopher://127.0.0.1/',
])('attack 15: keys are never asked for at %s', async (url) => {
  const { exitCode, stderr, file } = await serve(issuer(`jwks_url = "${url}"`))
  expect(exitCode).toBe(2)
  expect(stderr).toContain(`${file}:3`)
  expect(stderr).toContain('gate.issuers.corp.jwks_url')
})

test('the same through the launcher', async () => {
  const { exitCode, stderr, file } = await serve('[gate]\nlisen = "x"\n', [launcher])
  expect(exitCode).toBe(2)
  expect(stderr).toContain(`${file}:2`)
})
