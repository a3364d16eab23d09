// An ACME server as strangers run it (pebble), with a name server that says that every name is this machine.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'vitest'
import { later } from './cleanup.ts'
import { makeAuthority, makeCertificate } from './certificates.ts'

/** `proofPort`: where it looks for proofs over HTTP. `heard`: its log. */
export type Pebble = {
  readonly directory: string
  readonly caFile: string
  readonly proofPort: number
  readonly heard: () => string
  readonly root: () => Promise<string>
}

export const hasPebble = existsSync('/usr/bin/pebble')

/** Certificates of it live for `lifeS` seconds. */
export async function startPebble(lifeS = 3_600): Promise<Pebble> {
  const folder = mkdtempSync(join(tmpdir(), 'pebble-'))
  later(() => rmSync(folder, { recursive: true }))
  const authority = makeAuthority(folder)
  const { chain, key } = makeCertificate(authority, ['IP:127.0.0.1'])
  const [certificate, privateKey, config] = ['cert.pem', 'key.pem', 'pebble.json'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(certificate, chain)
  writeFileSync(privateKey, key)
  const [port, managementPort, proofPort, namePort, nameManagementPort] = await freePorts(5)
  const settings = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate,
    privateKey,
    httpPort: proofPort,
    tlsPort: proofPort,
    certificateValidityPeriod: lifeS,
  }
  writeFileSync(config, JSON.stringify({ pebble: settings }))
  let log = ''
  const start = (command: string, args: readonly string[]): void => {
    const child = spawn(command, args, {
      env: { PATH: '/usr/bin:/bin', PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '10' },
      stdio: 'pipe',
    })
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (log += part))
    const over = new Promise((resolve) => child.once('close', resolve))
    later(() => (child.kill('SIGKILL'), over))
  }
  const nowhere = ['-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv6', '', '-management', `127.0.0.1:${nameManagementPort}`]
  start('pebble-challtestsrv', ['-dns01', `127.0.0.1:${namePort}`, ...nowhere])
  start('pebble', ['-config', config, '-dnsserver', `127.0.0.1:${namePort}`])
  const get = (at: number, path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port: at, path, ca: authority.pem, agent: false }, (response) => resolve(text(response)))
        .on('error', reject)
        .end()
    })
  await expect.poll(() => get(port!, '/dir').catch(() => ''), { timeout: 10_000 }).toContain('newOrder')
  return {
    directory: `https://127.0.0.1:${port}/dir`,
    caFile: join(folder, 'authority.pem'),
    proofPort: proofPort!,
    heard: () => log,
    root: () => get(managementPort!, '/roots/0'),
  }
}

/** Held at once, so that no two are the same. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
