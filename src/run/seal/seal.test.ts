// A service that starts sealed: told as such, no failure, opened by its password, which is repeated nowhere.
import { type Server, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { Secret } from '../../kernel/secret.ts'
import { type Seal, isSealed, unseal } from './seal.ts'

let server: Server
let seal: Seal
let sealed: boolean
let tells: boolean
beforeEach(async () => {
  sealed = true
  tells = true
  server = createServer((request, response) => {
    let text = ''
    request
      .on('data', (part: Buffer) => (text += part.toString()))
      .on('end', () => {
        if (request.method === 'POST') {
          const isRight = (JSON.parse(text) as { password: string }).password === 'open sesame'
          if (isRight) sealed = false
          return response.writeHead(isRight ? 204 : 403).end()
        }
        if (tells) return response.end(JSON.stringify({ sealed }))
        response.writeHead(sealed ? 503 : 200).end('not json')
      })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  seal = { check: `${url}/v1/status`, unseal: `${url}/v1/unseal` }
})
afterEach(() => new Promise((resolve) => server.close(resolve)))

test.each([true, false])('it says that it is sealed (in JSON: %j), and not after the right password', async (inJson) => {
  tells = inJson
  const { signal } = new AbortController()
  expect(await isSealed(clock, seal, signal)).toBe(true)
  await unseal(clock, 'metacrypt/api', seal, new Secret('open sesame'))
  expect(await isSealed(clock, seal, signal)).toBe(false)
})

test('a wrong password, or nobody there: a fault that does not repeat it', async () => {
  const wrong = await unseal(clock, 'metacrypt/api', seal, new Secret('hunter2')).catch((error: Error) => error)
  expect(wrong).toMatchObject({ code: 'run.not_unsealed', message: expect.stringContaining('HTTP 403') as string })
  expect(JSON.stringify(wrong)).not.toContain('hunter2')
  const gone = { ...seal, unseal: 'http://127.0.0.1:1/' }
  await expect(unseal(clock, 'metacrypt/api', gone, new Secret('hunter2'))).rejects.toMatchObject({ code: 'run.not_unsealed' })
})
