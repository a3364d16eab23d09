// The machine daemon: the tools of `operate`, served over HTTP on this machine.
import type { ToolSource } from '../base/mcp/tool/tool.ts'
import { noHelper } from '../operate/helper/link.ts'
import { createHost } from '../operate/host.ts'
import type { MachineNeeds } from '../operate/needs.ts'
import { type MachineServer, type MachineServerNeeds, type MachineServerSettings, startMachineServer } from '../operate/server.ts'

/** What the daemon is given: `tools` are those of extensions.ts, `root` stands for the machine's own files and is '' outside tests. */
export type MachineDaemonNeeds = Omit<MachineServerNeeds, 'host' | 'helper' | 'tools'> & {
  readonly tools: readonly (ToolSource<MachineNeeds> & { readonly owner: string })[]
  readonly root?: string
}

/** Starts it; faults as `startMachineServer` has them. */
export function startMachine({ tools, root, ...needs }: MachineDaemonNeeds, settings: MachineServerSettings): Promise<MachineServer> {
  const own = tools.filter(({ owner }) => owner === 'operate')
  const helper = noHelper('it never runs inside another process, and this one has no link to it')
  return startMachineServer({ ...needs, host: createHost(root), helper, tools: own }, settings)
}
