// A small fleet on this machine, to learn by and to look at: three nodes, real services, some drift, a rotation due, traffic at gate and cache, and the dashboard.
import { join } from 'node:path'
import { lockFolder } from '../base/store/lock.ts'
import { lookAround } from '../base/checks/status.ts'
import { foldersOf } from '../base/terminal/folders.ts'
import { command } from '../base/terminal/command.ts'
import { asFault, faults } from '../kernel/fault.ts'
import { makeFolder, removeFolder } from '../kernel/file.ts'
import { type Fleet, startFleet } from './demo/fleet.ts'
import { beginTraffic } from './demo/traffic.ts'
import { statusText } from './status/text.ts'

const fault = faults('demo', {
  runs_already: (d: { folder: string }) => ({
    kind: 'conflict',
    message: `a demo runs already in ${d.folder}`,
    hint: 'stop it first: Ctrl-C where it runs',
  }),
})

export default command({
  summary: 'bring up a small fleet on this machine, with its dashboard, to learn by',
  description:
    'Three nodes with services that really run (as plain processes), a gate in front of them, machine tools, a peer host and a cache, with clients that call. Some of it is wrong on purpose: drift, a refused call, a tool that changed, a rotation that is due. Everything has files and ports of its own, which go with it; nothing of yours is touched.',
  flags: { once: { summary: 'bring it up, show how it stands, and take it down again' } },
  examples: [
    ['fairlead demo', 'bring it up, and stay until Ctrl-C: open the link that is printed'],
    ['fairlead demo --once', 'the same, and stop'],
  ],
  async run(context, { flags }) {
    const { terminal, folders, signal, clock, env, peers, version } = context
    const folder = join(folders.runtime, 'demo')
    using _ = onlyDemo(folders.runtime, folder)
    removeFolder(folder) // of one that was killed
    makeFolder(folder)
    try {
      await using fleet = await startFleet(context, folder)
      await using traffic = await beginTraffic(context, fleet)
      if (flags.once) {
        const { statuses } = await import('../extensions.ts')
        const status = await lookAround(
          { clock, env, peers, version, signal, homes: [{ folders: foldersOf({ FAIRLEAD_HOME: folder }, '', false) }] },
          statuses,
        )
        terminal.done()
        return terminal.result({ ...shownOf(fleet), status }, () => statusText(status, terminal.style))
      }
      terminal.done()
      const shown = shownOf(fleet)
      terminal.result(shown, () => text(shown, terminal.style))
      await traffic.keepOn().catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
      terminal.progress('taking it down')
    } finally {
      removeFolder(folder)
    }
  },
})

function onlyDemo(runtime: string, folder: string): Disposable {
  makeFolder(runtime)
  try {
    return lockFolder(runtime, 'demo')
  } catch (error) {
    throw asFault(error).code === 'store.locked' ? fault.runs_already({ folder }, error) : error
  }
}

function shownOf({ home, up, nodes, cacheUrl, people }: Fleet) {
  return {
    home,
    dashboard: up.addresses.dashboard,
    signIn: up.signIn,
    gate: up.addresses.gate,
    cache: cacheUrl,
    nodes: Object.keys(nodes),
    ownerTokenFile: up.http.tokenFile,
    tokens: people,
  }
}

function text({ home, dashboard, signIn, gate, cache, nodes }: ReturnType<typeof shownOf>, { bold, dim }: Style): string {
  const lines = [
    `a fleet of ${nodes.length} nodes is up on this machine: ${nodes.join(', ')}`,
    '',
    `  ${bold(signIn ?? dashboard)}`,
    `  ${dim('the dashboard; the link is good once')}`,
    '',
    `  gate   ${gate}`,
    `  cache  ${cache}`,
    '',
    'look around from another terminal:',
    `  export FAIRLEAD_HOME='${home}'`,
    '  fairlead status',
    '  fairlead run status',
    '  fairlead gate approve',
    '  fairlead gate sign-in owner',
    '',
    dim('Ctrl-C takes it down, and its files'),
  ]
  return lines.join('\n')
}

type Style = { readonly bold: (text: string) => string; readonly dim: (text: string) => string }
