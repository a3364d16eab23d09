// Where releases come from: a folder, an https:// address behind an authority of one's own, and npm itself, by a registry that its own configuration names.
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { type RequestListener, type Server, createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { beforeEach, expect, test } from 'vitest'
import { makeAuthority, makeCertificate } from '../../../test/kit/certificates.ts'
import { later } from '../../../test/kit/cleanup.ts'
import { sourceOf } from './source.ts'
import { packTarball } from './tarball.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-source-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
})
const tarball = packTarball([{ path: 'package.json', bytes: Buffer.from('{"name":"fairlead","version":"0.2.0"}'), isExecutable: false }])

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  later(() => server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

test('a folder: what is there by name, newest first', async () => {
  for (const version of ['0.2.0', '0.10.0']) writeFileSync(join(folder, `fairlead-${version}.tgz`), version)
  writeFileSync(join(folder, 'other-0.3.0.tgz'), '')
  const source = sourceOf({ source: folder, package: 'fairlead', work: folder }, {})
  expect(await source.versions()).toEqual(['0.10.0', '0.2.0'])
  expect(Buffer.from(await source.tarball('0.2.0')).toString()).toBe('0.2.0')
  await expect(source.tarball('0.3.0')).rejects.toMatchObject({ code: 'update.no_such_version' })
  await expect(sourceOf({ source: join(folder, 'none'), package: 'fairlead', work: folder }, {}).versions()).rejects.toMatchObject({
    code: 'update.no_source',
  })
})

test('https: by the authority that is named and no other; what is no list, and what redirects, is refused', async () => {
  const authority = makeAuthority(folder)
  const { chain, key } = makeCertificate(authority, ['IP:127.0.0.1'])
  const answers: Record<string, [number, string | Uint8Array]> = {
    '/r/releases.json': [200, '{"versions":["0.1.0","0.2.0","../0.3.0"]}'],
    '/r/fairlead-0.2.0.tgz': [200, tarball],
    '/odd/releases.json': [200, '{"versions":7}'],
    '/moved/releases.json': [302, ''],
  }
  const answer: RequestListener = (request, response) => {
    const [status, body] = answers[request.url!] ?? [404, '']
    response.writeHead(status, { location: '/r/releases.json' }).end(body)
  }
  const port = await listening(createTlsServer({ cert: chain, key }, answer))
  const at = (path: string, pem: string | undefined = join(folder, 'authority.pem')) =>
    sourceOf({ source: `https://127.0.0.1:${port}${path}`, package: 'fairlead', authority: pem, work: folder }, {})
  expect(await at('/r').versions()).toEqual(['0.2.0', '0.1.0'])
  expect(await at('/r/').tarball('0.2.0')).toEqual(Buffer.from(tarball))
  await expect(at('/r').tarball('0.1.0')).rejects.toMatchObject({ code: 'update.no_such_version' })
  for (const path of ['/odd', '/moved', '/none'])
    await expect(at(path).versions(), path).rejects.toMatchObject({ code: 'update.no_source' })
  const trusted = sourceOf({ source: `https://127.0.0.1:${port}/r`, package: 'fairlead', work: folder }, {})
  await expect(trusted.versions()).rejects.toThrow(/SELF_SIGNED_CERT|UNABLE_TO/)
})

test('npm: by its own configuration, which names the registry', async () => {
  const registry = createServer((request, response) => {
    const base = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`
    if (request.url === '/fairlead/-/fairlead-0.2.0.tgz') return void response.end(tarball)
    if (request.url !== '/fairlead') return void response.writeHead(404).end('{}')
    const integrity = `sha512-${hash('sha512', tarball, 'base64')}`
    const version = { name: 'fairlead', version: '0.2.0', dist: { tarball: `${base}/fairlead/-/fairlead-0.2.0.tgz`, integrity } }
    response.end(JSON.stringify({ name: 'fairlead', 'dist-tags': { latest: '0.2.0' }, versions: { '0.2.0': version } }))
  })
  const port = await listening(registry)
  writeFileSync(join(folder, '.npmrc'), `registry=http://127.0.0.1:${port}/\nfetch-retries=0\n`)
  const env = { HOME: folder, PATH: process.env['PATH'] }
  const source = sourceOf({ source: 'npm', package: 'fairlead', work: folder }, env)
  expect(await source.versions()).toEqual(['0.2.0'])
  expect(await source.tarball('0.2.0')).toEqual(Buffer.from(tarball))
  expect(readdirSync(folder).filter((name) => name.startsWith('npm-'))).toEqual([])
  await expect(sourceOf({ source: 'npm', package: 'absent', work: folder }, env).versions()).rejects.toMatchObject({
    code: 'update.no_source',
  })
})
