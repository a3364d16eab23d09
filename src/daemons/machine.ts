// The machine daemon: the tools of `operate`, served over HTTP on this machine.
import type { ToolSource } from '../base/mcp/tool/tool.ts'
import { openMachineControl } from '../operate/control.ts'
import { noHelper } from '../operate/helper/link.ts'
import { createHost } from '../operate/host.ts'
import type { MachineNeeds } from '../operate/needs.ts'
import { type MachineServer, type MachineServerNeeds, type MachineServerSettings, startMachineServer } from '../operate/server.ts'

/** What the daemon is given: `tools` are those of extensions.ts, `root` stands for the machine's own files and is '' outside tests. */
export type MachineDaemonNeeds = Omit<MachineServerNeeds, 'host' | 'helper' | 'tools'> & {
  readonly tools: readonly (ToolSource<MachineNeeds> & { readonly owner: string })[]
  readonly root?: string
  /** Where the sockets of the server's own API are; absent: it has none. */
  readonly control?: string
}

/** Starts it; faults as `startMachineServer` and `openMachineControl` have them. */
export async function startMachine(
  { tools, root, control, ...needs }: MachineDaemonNeeds,
  settings: MachineServerSettings,
): Promise<MachineServer> {
  const own = tools.filter(({ owner }) => owner === 'operate')
  const helper = noHelper('it never runs inside another process, and this one has no link to it')
  const server = await startMachineServer({ ...needs, host: createHost(root), helper, tools: own }, settings)
  if (control === undefined) return server
  try {
    const sockets = await openMachineControl({ ...needs, server }, control)
    const close = async (): Promise<void> => {
      await sockets[Symbol.asyncDispose]()
      await server.close()
    }
    return { ...server, close }
  } catch (error) {
    await server.close()
    throw error
  }
}
