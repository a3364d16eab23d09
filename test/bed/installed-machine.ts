// A node that the machine's server and its helper are to be installed on, with the package as npm makes it and signed releases that come after it; asked by root, and by a client of MCP.
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { type PackedFile, packTarball, unpackTarball } from '../../src/operate/update/tarball.ts'
import { type Nodes, createNodes } from './nodes.ts'

export type Answer = {
  readonly isError?: boolean
  readonly structuredContent?: Record<string, unknown>
  readonly content: readonly { readonly text: string }[]
}
type Standing = { readonly runs: string[]; readonly told: string; readonly status: string; readonly link: string; readonly health: string }

export interface Machine {
  /** Who signed the releases: 0.2.0 is good, 0.3.0 does not start, 0.4.0 starts and is not well. They lie in /mnt/releases/VERSION, and one of a stranger in /mnt/releases/stranger. */
  readonly signer: string
  /** By root's shell. */
  ran(script: string): ReturnType<Nodes['exec']>
  /** The same, and what it printed; throws when it fails. */
  root(script: string): Promise<string>
  /** What runs: by systemd's word and the process's own; and what the machine says of itself. */
  seen(): Promise<Standing>
  /** A tool called at the server as anybody on the machine may. */
  call(tool: string, input?: object): Promise<Answer>
  /** Power off and on. */
  restart(): Promise<void>
  close(): Promise<void>
}

export const machineUnits = ['raspi-ops-agent', 'mcp-raspi-server'] as const
const repository = resolve(import.meta.dirname, '../..')
const main = join(repository, 'dist/main.js')
const node = 'pi'
const timeoutMs = 120_000

export const standing = (version: string, status: string): Standing => ({
  runs: [`active ${version}`, `active ${version}`],
  link: `releases/${version}`,
  told: version,
  status,
  health: version,
})

/** Needs no `obstacle`. */
export async function createMachine(): Promise<Machine> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-releases-'))
  chmodSync(folder, 0o755)
  const [nodes, signer] = await Promise.all([
    createNodes([node], { mounts: [`${repository}:/opt/fairlead:ro`, `${folder}:/mnt/releases:ro`] }),
    makeReleases(folder),
  ])
  const ran: Machine['ran'] = (script) => nodes.exec(node, ['sh', '-ec', script], { timeoutMs })
  const root: Machine['root'] = async (script) => {
    const { code, stdout, stderr } = await ran(script)
    if (code !== 0) throw new Error(`${script}: exit code ${code}: ${stdout}${stderr}`)
    return stdout.trim()
  }
  return {
    signer,
    ran,
    root,
    seen: async () => {
      const [agent = '', server = '', link = '', told = '', status = '', health = ''] = (await root(look)).split('\n')
      return { runs: [agent, server], link, told, status, health }
    },
    async call(tool, input = {}) {
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: input } })
      const { code, stdout, stderr } = await nodes.exec(node, ['python3', '-c', client], { input: body })
      if (code !== 0) throw new Error(stderr)
      return (JSON.parse(stdout) as { result: Answer }).result
    },
    async restart() {
      await nodes.crash(node)
      await nodes.boot(node)
    },
    async close() {
      await nodes.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const look = `
for unit in ${machineUnits.join(' ')}; do
  pid=$(systemctl show -P MainPID $unit)
  echo "$(systemctl show -P ActiveState $unit) $(tr '\\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -o 'releases/[^/]*/dist' | cut -d/ -f2)"
done
readlink /opt/mcp-raspi/current
python3 -c 'import json; v = json.load(open("/opt/mcp-raspi/version.json")); print(v["current_version"]); print(v["last_update"]["status"])'
curl -s http://localhost:8000/health | python3 -c 'import json, sys; print(json.load(sys.stdin)["version"])' 2>/dev/null || echo none`

const client = `
import json, sys, urllib.request as r
def ask(body, session=None):
    h = {'content-type': 'application/json', 'accept': 'application/json, text/event-stream'}
    if session: h['mcp-session-id'] = session
    a = r.urlopen(r.Request('http://127.0.0.1:8000/mcp', json.dumps(body).encode(), h))
    return a.headers.get('mcp-session-id'), a.read().decode()
s, _ = ask({'jsonrpc': '2.0', 'id': 0, 'method': 'initialize', 'params': {'protocolVersion': '2025-11-25', 'capabilities': {}, 'clientInfo': {'name': 't', 'version': '1'}}})
ask({'jsonrpc': '2.0', 'method': 'notifications/initialized'}, s)
_, text = ask(json.load(sys.stdin), s)
print(next((l[6:] for l in text.splitlines() if l.startswith('data: ') and '"id":1' in l.replace(' ', '')), text))`

/** The package as npm makes it, and three that are to come after it: one good, one that does not start, one that starts and is not well. */
async function makeReleases(folder: string): Promise<string> {
  const run = promisify(execFile)
  await run('npm', ['pack', '--ignore-scripts', '--silent', `--pack-destination=${folder}`, repository])
  const files = unpackTarball(readFileSync(join(folder, 'fairlead-0.1.0.tgz')))
  const changed = (version: string, change: (text: string, path: string) => string): Uint8Array =>
    packTarball(
      files.map((file): PackedFile => {
        if (!/^(?:package\.json|dist\/.*\.js)$/.test(file.path)) return file
        const text = Buffer.from(file.bytes).toString('utf8')
        return { ...file, bytes: Buffer.from(change(text.replaceAll(/(version"?:\s?["`])0\.1\.0(?=["`])/g, `$1${version}`), file.path)) }
      }),
    )
  const raw = join(folder, 'raw')
  mkdirSync(raw)
  for (const [version, change] of [
    ['0.2.0', (text: string) => text],
    ['0.3.0', (text: string, path: string) => (path === 'dist/main.js' ? 'process.exit(7)\n' : text)],
    ['0.4.0', (text: string) => text.replaceAll(/\?\s*200\s*:\s*503/g, '?503:503')],
  ] as const)
    writeFileSync(join(raw, `fairlead-${version}.tgz`), changed(version, change))
  const fairlead = async (...words: string[]): Promise<string> => (await run(process.execPath, [main, 'operate', ...words])).stdout.trim()
  const key = join(folder, 'raw/release.key')
  const signer = await fairlead('release', '--key', key, '--new-key')
  await fairlead('release', '--key', join(folder, 'raw/stranger.key'), '--new-key')
  for (const version of ['0.2.0', '0.3.0', '0.4.0']) {
    const into = join(folder, version)
    await fairlead('release', join(raw, `fairlead-${version}.tgz`), '--key', key, '--out', into)
  }
  await fairlead('release', join(raw, 'fairlead-0.2.0.tgz'), '--key', join(raw, 'stranger.key'), '--out', join(folder, 'stranger'))
  return signer
}
