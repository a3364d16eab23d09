// What podman makes hard for an agent that is not root, seen from outside: ports that answer again after a container died, files of users inside containers, and the whole
// way of data: pushed, served by name, backed up, put back.
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { obstacle } from './containers.ts'
import { type RootlessNode, createRootlessNode, freePort } from './rootless-node.ts'

const missing = obstacle()
let node: RootlessNode

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(async () => {
  if (missing !== undefined) return
  node = await createRootlessNode('[routes]\nlisten = "127.0.0.1:0"\n')
  keep()
}, 60_000)
afterAll(async () => {
  await node?.close()
  await cleanUp()
}, 60_000)

const define = (name: string, component: string): void =>
  writeFileSync(
    join(node.bed.services, `${name}.toml`),
    `name = "${name}"\nnode = "rift"\n[[components]]\nname = "${name}"\nimage = "${node.home.image}"\nstop_within = "0s"\n${component}`,
  )
const inspect = async (name: string, format: string): Promise<string> =>
  (await node.home.podman('inspect', '--format', format, name)).trim()
/** What is answered at that port now; no connection outlives it. */
const ask = async (port: number): Promise<number | string> =>
  fetch(`http://127.0.0.1:${port}/group`, { signal: AbortSignal.timeout(1_000), headers: { connection: 'close' } }).then(
    async (answer) => {
      await answer.text()
      return answer.status
    },
    (error: unknown) => String((error as Error).cause ?? error),
  )

test.for(['no', 'on-failure:5'])('a container that dies (restart = "%s") is back with its port, whoever starts it', async (restart) => {
  const port = await freePort()
  const name = restart.slice(0, 2)
  define(name, `restart = "${restart}"\nports = ["${port}:80"]\ncmd = ["httpd", "-f", "-p", "80", "-h", "/etc"]\n`)
  expect(await node.bed.mcp(['deploy', name])).toMatchObject({ exitCode: 0 })
  for (let round = 0; round < 3; round++) {
    await expect.poll(() => ask(port), { timeout: 10_000 }).toBe(200)
    const before = await inspect(name, '{{.State.Pid}}')
    process.kill(Number(before), 'SIGKILL')
    await expect.poll(() => inspect(name, '{{.State.Pid}}'), { timeout: 15_000 }).not.toMatch(new RegExp(`^(0|${before})$`))
    await expect.poll(() => ask(port), { timeout: 1_500 }).toBe(200)
  }
})

/** Asks for a page by the name of the route, believing the node's authority alone. */
function byName(name: string, path: string): Promise<string> {
  const ca = readFileSync(join(node.home.folder, 'home/agent/certs/ca.pem'))
  return new Promise((resolve) => {
    const asked = request(
      { host: '127.0.0.1', port: node.told.routesPort!, servername: name, headers: { host: name }, path, ca },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => (text += part))
        response.on('end', () => resolve(`${response.statusCode} ${text}`))
      },
    )
    asked.on('error', (error) => resolve(String(error))).end()
  })
}

test('what is pushed is served by name, and is there again after a restore', async () => {
  const { bed } = node
  const port = await freePort()
  const [web, page] = [join(node.services, 'web'), join(bed.root, 'page')]
  const more = `volumes = ["${web}:/www"]\nports = ["${port}:80"]\ncmd = ["httpd", "-f", "-p", "80", "-h", "/www"]\n`
  define('web', `${more}[[components.routes]]\nport = ${port}\nmode = "l7"\nhostname = "web.example"\n`)
  expect(await bed.mcp(['deploy', 'web'])).toMatchObject({ exitCode: 0 })
  const push = async (text: string): Promise<void> => {
    writeFileSync(page, text, { mode: 0o644 })
    expect(await bed.mcp(['push', page, 'web', 'page'])).toMatchObject({ exitCode: 0 })
  }
  await push('first')
  await expect.poll(() => byName('web.example', '/page'), { timeout: 10_000 }).toBe('200 first')
  const { name } = (await bed.mcp(['backup', 'web', '--json'])).json as { name: string } // the newest may be another: the agent copies by itself, too
  await push('second')
  expect(await byName('web.example', '/page')).toBe('200 second')
  const before = await inspect('web', '{{.State.Pid}}')
  expect(await bed.mcp(['restore', 'web'])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('web runs (web)') as string })
  expect(await bed.mcp(['restore', 'web', name, '--stop'])).toMatchObject({ exitCode: 0 })
  await expect.poll(() => byName('web.example', '/page'), { timeout: 10_000 }).toBe('200 first')
  expect(await inspect('web', '{{.State.Pid}}')).not.toBe(before)
})

test('files of a user inside a container are pushed and pulled like others, and lead nowhere else', async () => {
  const { bed, home } = node
  const folder = join(node.services, 'own')
  const script = `[ -e /data/private ] || { mkdir /data/private; echo theirs >/data/private/key; ln -s ${home.folder}/home/agent/mcp.db /data/private/link; chmod 600 /data/private/key; chown -R 1000:1000 /data/private; chmod 700 /data/private; }; exec sleep 1000`
  define('own', `volumes = ["${folder}:/data"]\ncmd = ["sh", "-c", "${script}"]\n`)
  expect(await bed.mcp(['deploy', 'own'])).toMatchObject({ exitCode: 0 })
  const asUser = (...words: string[]): Promise<string> => home.feed('', ...words)
  await expect(asUser('cat', join(folder, 'private/key'))).rejects.toThrow('Permission denied')
  const [here, sent] = [join(bed.root, 'key'), join(bed.root, 'sent')]
  expect(await bed.mcp(['pull', 'own', 'private/key', here])).toMatchObject({ exitCode: 0 })
  expect(readFileSync(here, 'utf8')).toBe('theirs\n')
  writeFileSync(sent, 'ours', { mode: 0o644 })
  expect(await bed.mcp(['push', sent, 'own', 'private/sent'])).toMatchObject({ exitCode: 0 })
  expect(await home.podman('exec', 'own', 'cat', '/data/private/sent')).toBe('ours')
  expect(await home.podman('exec', 'own', 'stat', '-c', '%a %u', '/data/private/sent')).toBe('644 0\n')
  const taken = await bed.mcp(['backup', 'own', '--json'])
  expect(taken).toMatchObject({ exitCode: 0, stderr: '' })
  await home.podman('exec', 'own', 'sh', '-c', 'echo other >/data/private/key; rm -r /data/private/sent; chown 0:0 /data/private')
  const { name } = taken.json as { name: string }
  expect(await bed.mcp(['restore', 'own', name, '--stop'])).toMatchObject({ exitCode: 0, stderr: '' })
  const back = 'cd "$0" && stat -c "%a %u:%g %n" private private/* && cat private/key'
  expect(await home.podman('unshare', 'sh', '-c', back, folder)).toBe(
    '700 1000:1000 private\n600 1000:1000 private/key\n777 1000:1000 private/link\n644 0:0 private/sent\ntheirs\n',
  )
  for (const path of ['private/link', 'private/../../agent/mcp.db', 'private/none'])
    expect((await bed.mcp(['pull', 'own', path, join(bed.root, 'no')])).exitCode).not.toBe(0)
  expect(await bed.mcp(['push', sent, 'own', 'private/link/x'])).toMatchObject({ exitCode: 1 })
  expect((await asUser('ls', '-A', 'agent/between')).trim()).toBe('')
})
