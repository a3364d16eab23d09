// A stage whose hosts are whole machines: systemd, ssh between them, rootless podman, an image registry, and on each a person who may be root with doas.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { imageScript } from '../bed/images.ts'
import { type Nodes, createNodes, obstacle as noNodes } from '../bed/nodes.ts'
import { type Host, type Stage, home, terminals } from './stage.ts'

export const checkout = resolve(import.meta.dirname, '../..')
export const shared = '/opt/checkout'
/** On the network of the machines, where this machine is their first address. */
export const imageRegistry = '10.77.0.1:5000'

export interface Machines extends Stage {
  readonly nodes: Nodes
  /** Puts a person and ssh on a machine that was added later, and makes it a host of that name. */
  furnish(name: string): Promise<void>
}

/** Why there can be none here; undefined when there can. */
export function obstacle(tools: readonly string[]): string | undefined {
  const missing = noNodes()
  if (missing !== undefined) return missing
  return missingTools(['ssh', 'sshd', 'doas', 'script', 'docker-registry', ...tools])
}

export function missingTools(tools: readonly string[]): string | undefined {
  const absent = tools.filter((tool) => {
    try {
      execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' })
      return false
    } catch {
      return true
    }
  })
  return absent.length > 0 ? `not installed: ${absent.join(', ')}` : undefined
}

/** In a script that root runs there: the person's home holds the checkout, as far as it is there: what they write in it is theirs alone. */
export const checkoutAtHome = `mkdir -p /run/work/upper /run/work/work ~user/fairlead
mount -t overlay checkout -o lowerdir=${shared},upperdir=/run/work/upper,workdir=/run/work/work ~user/fairlead
chown user:user ~user/fairlead`

/** The person is the same on all machines and comes in from the first one. */
const furniture = (isFirst: boolean, key: string, publicKey: string): string => `set -eu
grep -q ^user: /etc/passwd || useradd --uid 20002 --create-home --shell /bin/bash user
usermod -p '*' user # sshd lets nobody in whose account is locked
install -d -o user -g user -m 700 ~user/.ssh
echo '${publicKey}' >~user/.ssh/authorized_keys
echo 'permit nopass user' >/etc/doas.conf
chmod 600 /etc/doas.conf
printf '[[registry]]\\nlocation = "${imageRegistry}"\\ninsecure = true\\n' >/etc/containers/registries.conf
${
  isFirst
    ? `printf '%s\\n' '${key}' >~user/.ssh/id_ed25519
chmod 600 ~user/.ssh/id_ed25519
printf 'Host *\\n  StrictHostKeyChecking accept-new\\n  LogLevel ERROR\\n  BatchMode yes\\n' >~user/.ssh/config
${checkoutAtHome}
rm -rf ~user/fairlead/build ~user/fairlead/mcp ~user/fairlead/mcp-agent
`
    : ''
}
chown -R user:user ~user/.ssh
rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
printf 'UsePAM no\\nUseDNS no\\nSubsystem sftp internal-sftp\\n' >/etc/ssh/sshd_config
systemctl start ssh`

/** Hosts of these names, the first of them the person's own. `images`: by name and tag, the files of each and what it runs. Needs no `obstacle`. */
export async function createMachines(
  names: readonly string[],
  images: Readonly<Record<string, { readonly files: Readonly<Record<string, string>>; readonly cmd: readonly string[] }>>,
): Promise<Machines> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-machines-'))
  const nodes = await createNodes(names, { mounts: [`${checkout}:${shared}:ro`] })
  const registry = await openRegistry(nodes, folder)
  const close = async (): Promise<void> => {
    registry.kill('SIGKILL')
    await nodes.close()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'user@vade', '-f', join(folder, 'key')])
    const [key, publicKey] = ['key', 'key.pub'].map((name) => execFileSync('cat', [join(folder, name)], { encoding: 'utf8' }).trim())
    const hosts = new Map<string, Host>()
    const furnish = async (name: string): Promise<void> => {
      const { code, stderr } = await nodes.exec(name, ['sh', '-s'], { input: furniture(name === names[0], key!, publicKey!) })
      if (code !== 0) throw new Error(`${name} could not be furnished: ${stderr}`)
      hosts.set(name, hostOf(nodes, name))
    }
    const publish = Object.entries(images).map(([name, { files, cmd }]) =>
      [imageScript(name, files, cmd), `podman push --quiet --tls-verify=false ${name}`].join('\n'),
    )
    const [command, ...args] = nodes.beside('sh', '-c', publish.join('\n'))
    await Promise.all([...names.map(furnish), ended(spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] }))])
    return { hosts, nodes, furnish, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function ended(child: ReturnType<typeof spawn>): Promise<void> {
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`the images could not be made: exit code ${code}`)
}

async function openRegistry(nodes: Nodes, folder: string) {
  const config = join(folder, 'registry.yml')
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: "${folder}/images"}}\nhttp: {addr: "${imageRegistry}"}\n`,
  )
  const [command, ...args] = nodes.beside('setpriv', '--pdeathsig=KILL', 'docker-registry', 'serve', config)
  const registry = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  await new Promise<void>((resolve, reject) => {
    registry.stderr.setEncoding('utf8').on('data', (part: string) => {
      if ((said += part).includes('listening on')) resolve()
    })
    registry.once('exit', () => reject(new Error(`there is no image registry: ${said}`)))
  })
  return registry
}

/** A machine as the person `user` works at it, who must be there. */
export function hostOf(nodes: Nodes, name: string): Host {
  const environment = [
    `HOME=${home}`,
    'USER=user',
    `PATH=${home}/.local/bin:/usr/local/bin:/usr/bin:/bin`,
    'TERM=xterm',
    'SHELL=/bin/bash',
    'LANG=C.UTF-8',
  ]
  const inside: Host['inside'] = (...argv) =>
    nodes.inside(name, ['runuser', '-u', 'user', '--', 'env', '-i', `--chdir=${home}`, ...environment, ...argv])
  const sh = (script: string, file: string, input: string): string => {
    const [command, ...args] = inside('sh', '-c', script, 'sh', file.replace(/^~/, home))
    return execFileSync(command, args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] })
  }
  return {
    address: nodes.address(name),
    inside,
    ...terminals(inside),
    write: (file, text) => void sh('mkdir -p "$(dirname "$1")"; cat >"$1"', file, text),
    read: (file) => sh('cat "$1"', file, ''),
  }
}
