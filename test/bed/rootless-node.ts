// A node as people have it who are not root: rootless podman, and an agent that is a process of that user, asked by a person's `mcp`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { Bed } from '../run-commands/bed.ts'
import { type PodmanHome, createPodmanHome } from './containers.ts'
import { type Image, imageScript } from './images.ts'

export interface RootlessNode {
  readonly home: PodmanHome
  readonly bed: Bed
  /** Of this machine: the data folders of services. */
  readonly services: string
  /** What the agent said when it served: its ports. */
  readonly told: { readonly routesPort?: number }
  /** Makes an image and pushes it, so that it is nowhere else; answers how it is called there. */
  push(name: string, image: Image, registry?: string): Promise<string>
  close(): Promise<void>
}

/** `settings`: more of `mcp-agent.toml`. The node is called rift, and the person knows it. Needs no `obstacle`. */
export async function createRootlessNode(settings = ''): Promise<RootlessNode> {
  const home = await createPodmanHome({ shown: resolve(import.meta.dirname, '../..') })
  try {
    const bed = new Bed()
    const folder = join(home.folder, 'home/agent')
    const services = join(home.folder, 'home/srv')
    const config = `[agent]\nnode_name = "rift"\nservices = "${services}"\n[monitor]\ninterval = "500ms"\n${settings}`
    await home.feed(config, 'sh', '-c', 'mkdir -m 700 agent; mkdir srv; cat >agent/mcp-agent.toml')
    const program = [`${home.folder}/shown/node_modules/node-linux-${process.arch}/bin/node`, `${home.folder}/shown/dist/main.js`]
    const [command, ...args] = home.inside(...program, 'run', 'agent', '--config', join(folder, 'mcp-agent.toml'), '--json')
    const agent = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const ended = once(agent, 'exit')
    let [said, errors] = ['', '']
    agent.stderr.setEncoding('utf8').on('data', (part: string) => (errors += part))
    await new Promise<void>((serves, fails) => {
      agent.stdout.setEncoding('utf8').on('data', (part: string) => (said += part).includes('}\n') && serves())
      void ended.then(() => fails(new Error(`the agent ended: ${errors}`)))
    })
    const known = await bed.mcp(['node', 'add', 'rift', `unix:${join(folder, 'run')}`])
    if (known.exitCode !== 0) throw new Error(known.stderr)
    return {
      home,
      bed,
      services,
      told: JSON.parse(said) as { routesPort?: number },
      async push(name, { files, cmd }, registry = home.registry) {
        const reference = `${registry}/${name}`
        await home.feed(`${imageScript(reference, files, cmd)}\npodman push --quiet ${reference}\npodman rmi --force ${reference}\n`, 'sh')
        return reference
      },
      async close() {
        agent.kill('SIGTERM')
        await ended
        await home.close()
      },
    }
  } catch (error) {
    await home.close()
    throw error
  }
}

/** A port of loopback that nobody has now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
