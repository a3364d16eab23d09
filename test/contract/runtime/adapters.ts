// How each runtime is opened for its contract, and how its world is moved from outside: a further one adds an entry.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { type PodmanHome, createPodmanHome, obstacle } from '../../bed/containers.ts'
import { systemClock as clock } from '../../../src/kernel/clock.ts'
import { silentLog as log } from '../../../src/kernel/log.ts'
import { memoryRuntime } from '../../../src/run/memory/runtime.ts'
import { World } from '../../../src/run/memory/world.ts'
import type { Container, Runtime } from '../../../src/run/runtime.ts'
import podmanKind from '../../../src/run/runtimes/podman.ts'
import processKind from '../../../src/run/runtimes/process.ts'
import { processesOf } from './observe.ts'

/** What a container is to do. Without `exit` it goes on, and obeys SIGTERM unless it ignores it. */
export type Program = {
  readonly prints?: readonly string[]
  readonly says?: readonly string[]
  readonly exit?: { readonly afterMs: number; readonly code: number }
  readonly ignoresTerm?: boolean
}

export type Opened = {
  runtime: Runtime
  /** Two images that are there. */
  readonly image: string
  readonly other: string
  /** For commands of `stdioArgv`. */
  readonly env: Readonly<Record<string, string>>
  cmdOf(program: Program): readonly string[]
  /** SIGKILL for its process, past the runtime. */
  kill(container: Container): Promise<void>
  /** Of which image a container that runs really is, past the runtime: equal texts for equal images. */
  insides(container: Container): Promise<string>
  /** The name of `image` comes to mean another one, until it is restored. */
  retag(): Promise<() => Promise<void>>
  /** Puts an image of that name and content into a registry; answers how it is called there. */
  push?(name: string, content: string): Promise<string>
  /** An image whose own health check says so. */
  checked?(health: 'healthy' | 'unhealthy'): Promise<string>
  /** Another runtime over the same containers, as after a kill of the agent. */
  reopen(): Promise<Runtime>
  /** Processes with that argv. */
  count(argv: string): number
  end(): Promise<void>
}

export type Adapter = { readonly name: string; obstacle(): string | undefined; open(): Promise<Opened> }

/** The program as a shell's script. */
function shellCmd({ prints = [], says = [], exit, ignoresTerm = false }: Program): readonly string[] {
  const script = `
    trap '${ignoresTerm ? '' : 'exit 7'}' TERM
    ${exit ? `sleep ${exit.afterMs / 1_000}` : ''}
    while [ "$1" != -- ]; do printf '%s\\n' "$1"; shift; done
    shift
    for text; do printf '%s\\n' "$text" >&2; done
    ${exit ? `exit ${exit.code}` : 'while :; do sleep 600 & wait; done'}`
  return ['sh', '-c', script, 'sh', ...prints, '--', ...says]
}

function memoryCmd({ prints = [], exit, ignoresTerm = false }: Program): readonly string[] {
  return [
    ...prints.map((text) => `sim:print=${text}`),
    ...(exit ? [`sim:exit=${exit.code}`, `sim:exit-after=${exit.afterMs}`] : []),
    ...(ignoresTerm ? ['sim:ignore-term'] : []),
  ]
}

const memory: Adapter = {
  name: 'memory',
  obstacle: () => undefined,
  async open() {
    const world = new World({ clock })
    const digest = world.load('localhost/thing:1')
    world.load('localhost/thing:2')
    return {
      runtime: memoryRuntime({ world }),
      image: 'localhost/thing:1',
      other: 'localhost/thing:2',
      env: {},
      cmdOf: memoryCmd,
      kill: async ({ id }) => world.kill(id),
      insides: async ({ id }) => world.find(id)!.spec.image.digest,
      async retag() {
        world.load('localhost/thing:1')
        return async () => void world.load('localhost/thing:1', { digest })
      },
      async push(name) {
        world.push(`registry/${name}`)
        return `registry/${name}`
      },
      async checked(health) {
        world.load(`localhost/checked:${health}`, { health })
        return `localhost/checked:${health}`
      },
      reopen: async () => memoryRuntime({ world }),
      count: () => 0,
      end: async () => {},
    }
  },
}

const plain: Adapter = {
  name: 'process',
  obstacle: () => undefined,
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'process-'))
    const image = (tag: string, content: string): void => {
      mkdirSync(join(folder, 'images/localhost/thing', tag), { recursive: true })
      writeFileSync(join(folder, 'images/localhost/thing', tag, 'content'), content)
    }
    image('1', 'one')
    image('2', 'two')
    const env = { PATH: '/usr/local/bin:/usr/bin:/bin' }
    const open = (): Promise<Runtime> => processKind.open({ clock, log, env }, { socket: '', folder })
    let runtime = await open()
    return {
      runtime,
      image: 'localhost/thing:1',
      other: 'localhost/thing:2',
      env,
      cmdOf: shellCmd,
      kill: async ({ pid }) => void process.kill(pid!, 'SIGKILL'),
      insides: async ({ pid }) => readFileSync(`/proc/${pid}/cwd/content`, 'utf8'),
      async retag() {
        image('1', 'another')
        return async () => image('1', 'one')
      },
      async reopen() {
        await runtime.close()
        return (runtime = await open())
      },
      count: (argv) => processesOf(argv).length,
      async end() {
        await runtime.close()
        rmSync(folder, { recursive: true })
      },
    }
  },
}

const podman: Adapter = {
  name: 'podman',
  obstacle,
  async open() {
    const home = await createPodmanHome()
    const runtimes: Runtime[] = []
    const open = async (): Promise<Runtime> => {
      const opened = await podmanKind.open({ clock, log, env: {} }, { socket: home.socket, folder: home.folder })
      runtimes.push(opened)
      return opened
    }
    try {
      const runtime = await open()
      await derive(home, 'localhost/busybox:2', 'LABEL=other')
      return {
        runtime,
        image: home.image,
        other: 'localhost/busybox:2',
        env: { PATH: process.env['PATH']!, HOME: home.folder },
        cmdOf: shellCmd,
        kill: async ({ pid }) => void process.kill(pid!, 'SIGKILL'),
        insides: async ({ id }) => (await home.podman('inspect', '--format', '{{.Image}}', id)).trim(),
        async retag() {
          const { Id: id } = (JSON.parse(await home.podman('image', 'inspect', home.image)) as [{ Id: string }])[0]
          await home.podman('tag', 'localhost/busybox:2', home.image)
          return async () => void (await home.podman('tag', id, home.image))
        },
        async push(name, content) {
          const reference = `${home.registry}/${name}`
          await derive(home, reference, `LABEL=${content}`)
          await home.podman('push', '--quiet', reference)
          await home.podman('rmi', reference) // as if another machine had pushed it: what is built here has another digest than what the registry makes of it
          return reference
        },
        async checked(health) {
          const file = `FROM ${home.image}\nHEALTHCHECK --interval=1h --retries=1 CMD ${health === 'healthy' ? 'true' : 'false'}\n`
          await home.feed(
            file,
            'podman',
            'build',
            '--quiet',
            '--format',
            'docker',
            '--network=none',
            '--pull=never',
            '-t',
            `localhost/${health}:1`,
            '-f',
            '-',
          )
          return `localhost/${health}:1`
        },
        reopen: open,
        count: (argv) => processesOf(argv).length,
        async end() {
          for (const one of runtimes) await one.close()
          await home.close()
        },
      }
    } catch (error) {
      await home.close()
      throw error
    }
  },
}

/** An image of the same files and another configuration. */
async function derive(home: PodmanHome, reference: string, variable: string): Promise<void> {
  const file = `FROM ${home.image}\nENV ${variable}\n`
  await home.feed(file, 'podman', 'build', '--quiet', '--network=none', '--pull=never', '-t', reference, '-f', '-')
}

export const adapters: readonly Adapter[] = [memory, plain, podman]
