// Where the servers of others work in these tests: a folder for each, a site to read, and those that listen for HTTP.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer as createSite } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { vi } from 'vitest'
import type { GateUpstream } from '../kit/gate.ts'
import { type Server, argvOf, freshFolder } from './servers.ts'

export type Bed = {
  readonly root: string
  folderOf(server: Server): string
  /** What it is told in its environment, besides PATH and HOME. */
  envOf(server: Server): Readonly<Record<string, string>>
  argvOf(server: Server): readonly [string, ...string[]]
  /** As the gate starts it; `before`: a program that stands before it. */
  upstream(server: Server, before?: readonly string[]): GateUpstream
  /** Starts it where it listens for HTTP; its address. */
  listening(server: Server): Promise<string>
  close(): Promise<void>
}

export const keyOf = (server: Server): string => server.package.replaceAll(/[^a-z0-9]+/g, '-').replace(/^-/, '')

/** No more than a client gives its servers. */
export const plainEnvironment = { PATH: process.env['PATH']!, HOME: process.env['HOME']! }

export async function strangersBed(): Promise<Bed> {
  const root = mkdtempSync(join(tmpdir(), 'fairlead-strangers-'))
  const children: ChildProcess[] = []
  const site = await startSite()
  const folderOf = (server: Server): string => {
    const folder = join(root, keyOf(server))
    mkdirSync(folder, { recursive: true })
    return folder
  }
  const envOf = (server: Server): Readonly<Record<string, string>> => server.env?.(folderOf(server), site.url) ?? {}
  const argv = (server: Server): readonly [string, ...string[]] => argvOf(server, server.argv(folderOf(server)))
  return {
    root,
    folderOf,
    envOf,
    argvOf: argv,
    upstream(server, before = []) {
      const env = Object.entries(envOf(server)).map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
      return { command: [...before, ...argv(server)], more: `env = { ${env.join(', ')} }` }
    },
    async listening(server) {
      const port = await freePort()
      freshFolder(server, folderOf(server))
      const { argv: more, env = {}, path } = server.http!(folderOf(server), port)
      const [command, ...args] = argvOf(server, more)
      children.push(spawn(command, args, { env: { ...plainEnvironment, ...env }, stdio: 'ignore' }))
      await vi.waitUntil(() => isListening(port), { timeout: 20_000, interval: 50 })
      return `http://127.0.0.1:${port}${path}`
    },
    async close() {
      site.close()
      for (const child of children) {
        const ended = once(child, 'exit')
        if (child.kill()) await ended
      }
      rmSync(root, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return isOpen
}

/** What firecrawl-mcp asks for pages: every request is answered with the same one. */
async function startSite(): Promise<{ readonly url: string; close(): void }> {
  const page = { success: true, data: { markdown: '# Oak ä\u2028', metadata: { sourceURL: 'https://example.com/oak', statusCode: 200 } } }
  const site = createSite((_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(page)))
  site.listen(0, '127.0.0.1')
  await once(site, 'listening')
  return {
    url: `http://127.0.0.1:${(site.address() as AddressInfo).port}`,
    close() {
      site.closeAllConnections()
      site.close()
    },
  }
}
