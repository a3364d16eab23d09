// A node's agent as its configuration says: the runtime opened, the node started, its operations offered.
import { join } from 'node:path'
import { userInfo } from 'node:os'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { fault } from '../faults.ts'
import { changing } from '../node/changing.ts'
import { type RunNode, startNode } from '../node/node.ts'
import { observing } from '../node/observing.ts'
import type { RuntimeKind } from '../runtime.ts'
import type { AgentConfig } from './config.ts'
import { certificateEnd, openDoors } from './doors.ts'
import type { AgentFiles } from './files.ts'

export type AgentNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version: string
  readonly runtimes: readonly { readonly name: string; load(): Promise<{ readonly default: RuntimeKind }> }[]
}

export type Agent = AsyncDisposable & { readonly node: RunNode; /** Of HTTPS, where it listens. */ readonly port: number | undefined }

/** Faults: `run.no_runtime`, `run.runtime_unavailable`, `store.*`, `socket.*`. */
export async function startAgent(needs: AgentNeeds, config: AgentConfig, files: AgentFiles & { readonly name: string }): Promise<Agent> {
  const { clock, log, env } = needs
  await using stack = new AsyncDisposableStack()
  const { container_runtime: wanted, podman_socket } = config.agent
  const entry = needs.runtimes.find(({ name }) => name === wanted)
  if (!entry) throw fault.no_runtime({ name: wanted, known: needs.runtimes.map(({ name }) => name) })
  const kind = (await entry.load()).default
  const socket = podman_socket ?? podmanSocket(env)
  const runtime = await kind.open({ clock, log, env }, { socket, folder: join(files.folder, wanted) })
  stack.defer(() => runtime.close())
  const { alert: command, cooldown, interval, flap_count, flap_window, keep_events } = config.monitor
  const node = startNode(
    { clock, log, env, runtime },
    {
      node: files.name,
      folder: files.folder,
      monitor: { intervalMs: interval, flapCount: flap_count, flapWindowMs: flap_window, keepEventsMs: keep_events },
      alert: { command, cooldownMs: cooldown },
    },
  )
  stack.use(node)
  const facts = { version: needs.version, folder: files.folder, certificateExpiresAt: () => certificateEnd(config, files) }
  const handlers = { ...observing(node, facts), ...changing(node) }
  const doors = await openDoors({ clock, log, handlers }, config, files)
  stack.use(doors)
  const held = stack.move()
  return { node, port: doors.port, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

/** Where podman's own API is for this user: its user unit's socket, or root's. */
function podmanSocket(env: AgentNeeds['env']): string {
  const { uid } = userInfo()
  const runtime = uid === 0 ? '/run' : (env['XDG_RUNTIME_DIR'] ?? `/run/user/${uid}`)
  return join(runtime, 'podman/podman.sock')
}
