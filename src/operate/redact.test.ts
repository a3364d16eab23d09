// Secrets in command lines do not come through; ordinary arguments do.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { redactArguments, redactText } from './redact.ts'

const secret = 'hunter2-Zx9'

test.each([
  ['--password', secret],
  ['--db-password', secret],
  ['-token', secret],
  ['--api_key', secret],
  ['--client-secret', secret],
  [`--password=${secret}`],
  [`PGPASSWORD=${secret}`],
  [`--env=MYSQL_PWD=${secret}`],
  [`DB_PASS=${secret}`],
  [`--auth=${secret}`],
  [`https://ann:${secret}@example.org/x`],
  [`postgres://:${secret}@db/x`],
  [`Authorization: Bearer ${secret}`],
  ['-H', `authorization: bearer ${secret}`],
  ['-H', `X-Api-Key: ${secret}`],
  ['-H', `Cookie: ${secret}`],
  [`https://x/?access_token=${secret}&a=b`],
  ['sh', '-c', `export TOKEN=${secret}; run`],
  ['-d', `{"password": "${secret}"}`],
  ['-d', `{"password":"${secret}"}`],
])('%j %j %j', (...args) => {
  const shown = redactArguments(args.filter((arg) => arg !== undefined))
  expect(shown.join(' ')).not.toContain(secret)
  expect(shown.join(' ')).toContain('[redacted]')
  expect(shown).toHaveLength(args.length)
})

test('keys of well-known shapes, and long random words', () => {
  const keys = [
    'ghp_' + 'a1B2'.repeat(9),
    'AKIA' + 'ABCD'.repeat(4),
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig',
    'xoxb-1234-abcdefgh',
    'Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZkdISUpLTA',
  ]
  for (const key of keys) expect(redactText(`run ${key} now`)).toBe('run [redacted] now')
})

test.each([
  ['/usr/sbin/sshd -D'],
  ['node --max-old-space-size=200 server.js --port 8080'],
  ['/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock'],
  ['/usr/lib/systemd/systemd --switched-root --system --deserialize=31'],
  ['curl https://example.org:8443/path?q=1'],
  ['/usr/bin/passwd'],
  ['ssh ann@example.org'],
  ['containerd-shim -id 3f4e5d6c7b8a99887766554433221100ffeeddccbbaa00998877665544332211'],
])('%j stays as it is', (line) => {
  expect(redactArguments(line.split(' ')).join(' ')).toBe(line)
})

test('no text makes it slow or longer than a mark for each character', () => {
  const pieces = fc.array(fc.constantFrom('pass', 'token', '=', ' ', '"', ':', '//', '@', 'a', 'A1', '-', '.', 'bearer '), {
    maxLength: 400,
  })
  fc.assert(
    fc.property(pieces, (parts) => {
      const startedAt = performance.now()
      redactText(parts.join(''))
      expect(performance.now() - startedAt).toBeLessThan(200)
    }),
  )
  const startedAt = performance.now()
  for (const piece of ['a', 'pass', 'token-', 'http://', '"secret"', ' ', 'bearer ']) redactText(piece.repeat(8_192 / piece.length))
  expect(performance.now() - startedAt).toBeLessThan(2_000)
})

test('a cursor comes back as it was, and only to the order it belongs to', () => {
  fc.assert(
    fc.property(fc.constantFrom('cpu', 'pid'), fc.integer(), fc.nat(), (order, value, id) => {
      expect(decodeCursor(encodeCursor({ order, value, id }), order)).toEqual({ order, value, id })
    }),
  )
  expect(() => decodeCursor(encodeCursor({ order: 'cpu', value: 1, id: 1 }), 'pid')).toThrow(/another order/)
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(() => decodeCursor(text, 'cpu')).toThrow(/cursor cannot be used/)
    }),
  )
})
