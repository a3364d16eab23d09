// Which proxy the environment means for which target.
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { proxiesOf } from './proxy.ts'

const secure = { host: 'registry.example.org', port: 443, isTls: true }
const plain = { ...secure, port: 80, isTls: false }
const nameOf = (env: Record<string, string>, target = secure): string | undefined => proxiesOf(env)(target)?.name

test('HTTPS_PROXY is for TLS and HTTP_PROXY for the rest, small letters first, an empty one is none', () => {
  const env = { HTTPS_PROXY: 'http://a.example:3128', HTTP_PROXY: 'b.example:8080' }
  expect([nameOf(env), nameOf(env, plain)]).toEqual(['a.example:3128', 'b.example:8080'])
  expect(nameOf({ ...env, https_proxy: 'https://c.example' })).toBe('c.example:443')
  expect(nameOf({ ...env, https_proxy: '' })).toBe('a.example:3128')
  expect([nameOf({}), nameOf({ HTTPS_PROXY: '' }), nameOf({ HTTP_PROXY: 'b.example' })]).toEqual([undefined, undefined, undefined])
  expect(nameOf({ HTTPS_PROXY: 'http://[2001:db8::1]:3128/' })).toBe('[2001:db8::1]:3128')
})

test.each<[string, string, boolean]>([
  ['*', 'registry.example.org', true],
  ['example.org', 'registry.example.org', true],
  ['.example.org', 'registry.example.org', true],
  ['*.example.org', 'REGISTRY.example.org', true],
  ['ample.org', 'registry.example.org', false],
  ['other.example, registry.example.org', 'registry.example.org', true],
  ['registry.example.org:443', 'registry.example.org', true],
  ['registry.example.org:8443', 'registry.example.org', false],
  ['10.0.0.0/8', '10.1.2.3', true],
  ['10.0.0.0/8', '11.1.2.3', false],
  ['10.0.0.0/99', '10.1.2.3', false],
  ['2001:db8::/32', '2001:db8::7', true],
  ['2001:db8::7', '2001:db8::7', true],
  ['[2001:db8::7]:443', '2001:db8::7', true],
  ['2.3', '10.1.2.3', false],
  ['', 'registry.example.org', false],
])('NO_PROXY=%s and %s: reached without one is %s', (exceptions, host, isDirect) => {
  expect(nameOf({ HTTPS_PROXY: 'a.example:1', NO_PROXY: exceptions }, { ...secure, host }) === undefined).toBe(isDirect)
})

test('this machine is never asked for through a proxy', () => {
  for (const host of ['localhost', '127.0.0.1', '::1', 'a.localhost'])
    expect(nameOf({ HTTPS_PROXY: 'a.example:1' }, { ...secure, host })).toBe(undefined)
  expect(nameOf({ HTTPS_PROXY: 'a.example:1' }, { ...secure, host: '127.example.org' })).toBe('a.example:1')
})

test('name and password are told to the proxy and to nobody else', () => {
  const proxy = proxiesOf({ HTTPS_PROXY: 'http://me:p%40ss@a.example:1' })(secure)!
  expect(proxy.authorization!.reveal()).toBe(`Basic ${btoa('me:p@ss')}`)
  expect(inspect(proxy, { depth: 9 }) + JSON.stringify(proxy)).not.toMatch(/p@ss|p%40ss|bWU6/)
})

test.each(['socks5://hush:hush@a.example:1', 'http://', 'http://me:%hush@a.example', 'http://a.example:hush'])(
  'what is no HTTP proxy is refused, without its text: %s',
  (value) => {
    expect(() => proxiesOf({ HTTPS_PROXY: value })(secure)).toThrow(expect.objectContaining({ code: 'peer.proxy_invalid' }))
    expect(() => proxiesOf({ HTTPS_PROXY: value })(secure)).not.toThrow(/hush/)
  },
)
