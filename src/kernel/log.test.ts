// Secrets stay out of a log, also those that somebody else says, and what is left of them where a text was cut.
import { expect, test } from 'vitest'
import { createLog, redacting } from './log.ts'

function lines(secrets: ReadonlySet<string>, fields: Readonly<Record<string, unknown>>): string {
  const written: string[] = []
  redacting(
    createLog(
      (line) => written.push(line),
      () => 0,
      'debug',
    ),
    secrets,
  ).debug('an.event', fields)
  return written.join('\n')
}

test('a secret that is known is in no field, whole or cut', () => {
  const secret = 'se"cret-of-the-far-end\n1234567890'
  const text = lines(new Set([secret, '']), {
    line: `key ${secret}, and ${secret}`,
    cut: `key ${secret.slice(0, 12)}…`,
    short: 'se"cr…',
    deep: { list: [1, null, secret] },
    error: new Error(`bad key ${secret}`),
    count: 1234567890n,
    token: 'by its name',
  })
  expect(JSON.parse(text)).toMatchObject({
    line: 'key [redacted], and [redacted]',
    cut: 'key [redacted]',
    short: 'se"cr…',
    deep: { list: [1, null, '[redacted]'] },
    error: { message: 'bad key [redacted]' },
    count: '1234567890',
    token: '[redacted]',
  })
})

test('without secrets, and without fields, a line is what it was', () => {
  expect(JSON.parse(lines(new Set(), { a: [1, 'b'] }))).toMatchObject({ level: 'debug', event: 'an.event', a: [1, 'b'] })
})
