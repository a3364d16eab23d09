// The daemon of a node: keeps what runs as it should be. Also copies of what it knows, and the way back from one.
import { hostname } from 'node:os'
import { text } from 'node:stream/consumers'
import { loadConfig } from '../../base/config/config.ts'
import { tellReady } from '../../base/supervise/readiness.ts'
import { type Context, command, stopAsked } from '../../base/terminal/command.ts'
import { agentFile } from '../agent/config.ts'
import { agentFiles } from '../agent/files.ts'
import { startAgent } from '../agent/serve.ts'
import { restore, snapshot } from '../agent/snapshot.ts'
import { nodeClient } from '../client.ts'
import { onProgress, simulatedText } from '../cli/shown.ts'
import { fault } from '../faults.ts'
import { recoveryWorks } from '../recovery/works.ts'
import { answerWork } from '../files/as-owners.ts'
import { readWork, storeWork } from '../files/operations.ts'

const actions = ['serve', 'snapshot', 'restore', 'recover', 'file-work'] as const
/** How this command is called under each name of the program. */
const ownWords: Readonly<Record<string, readonly string[]>> = { 'mcp-agent': [], mcp: ['agent'] }

export default command({
  summary: 'be the agent of this machine: keep services as they should be, or copy and put back what it knows',
  description:
    'Without an action it runs until it is stopped; what it started goes on without it. `snapshot` copies its database while it runs, and keeps the newest 14; `restore FILE` puts one back when it is stopped. `recover` has the agent that runs start everything that should run and does not, at once. `file-work` is what the agent calls by itself, for files of users inside containers.',
  args: {
    action: { summary: actions.join(', '), optional: true },
    file: { summary: 'of restore: a snapshot; the newest by default', optional: true },
  },
  flags: {
    config: {
      summary: 'its configuration; its folder holds all its files (mcp-agent.toml in /srv/mcp, under the name mcp-agent)',
      value: 'FILE',
    },
  },
  examples: [
    ['fairlead run agent', 'keep services as they should be, until stopped'],
    ['fairlead run agent snapshot --config /srv/mcp/mcp-agent.toml', 'copy the database to /srv/mcp/backups/'],
  ],
  async run({ terminal, clock, log, env, folders, version, signal, peers, stdin, stdout, self, alias }, { args, flags }) {
    const action = actions.find((one) => one === (args.action ?? 'serve'))
    if (!action) throw fault.unknown_action({ action: args.action!, known: actions })
    if (action === 'file-work') return void stdout.write(await answerWork(await text(stdin), [readWork, storeWork, ...recoveryWorks]))
    const own = agentFiles(folders, flags.config)
    const { value: config } = await loadConfig({ schema: agentFile, path: own.config, isOptional: flags.config === undefined })
    const files = { ...own, services: config.agent.services ?? own.services, backups: config.backups.folder ?? own.backups }
    if (action === 'snapshot') {
      const path = await snapshot({ clock }, files)
      return terminal.result({ path }, () => path)
    }
    if (action === 'restore') {
      const put = await restore({ clock }, files, args.file)
      return terminal.result(put, () => `${put.from} is the database now: start the agent, then mcp sync`)
    }
    if (action === 'recover') return recover({ terminal, signal }, files.runtime)
    const name = config.agent.node_name ?? hostname().split('.')[0]!.toLowerCase()
    const { runtimes } = await import('../../extensions.ts')
    const fileWorker = [...self, ...(ownWords[alias ?? ''] ?? ['run', 'agent']), 'file-work'] as const
    await using agent = await startAgent({ clock, log, env, version, runtimes, peers, fileWorker }, config, { ...files, name })
    const { runtime } = agent.node
    const { isSimulated } = runtime
    terminal.result(
      {
        node: name,
        runtime: runtime.name,
        isSimulated,
        sockets: files.runtime,
        port: agent.port ?? null,
        peerId: agent.peerId ?? null,
        routesPort: agent.routesPort ?? null,
      },
      () =>
        [
          `the node ${name} runs services with ${runtime.name}${isSimulated ? ' (simulated)' : ''}`,
          `  unix:${files.runtime}`,
          ...(agent.port === undefined ? [] : [`  ${config.server.listen} (HTTPS)`]),
          ...(agent.routesPort === undefined ? [] : [`  routes: ${config.routes!.listen}`]),
          ...(agent.peerId === undefined ? [] : [`  peer:${agent.peerId}`]),
        ].join('\n'),
    )
    await tellReady(env)
    await stopAsked({ signal })
  },
})

async function recover({ terminal, signal }: Pick<Context, 'terminal' | 'signal'>, folder: string): Promise<number> {
  const client = nodeClient({ is: 'unix', folder })
  const recovered = await client.calls.recover({}, { signal, onItem: onProgress(terminal) })
  terminal.done()
  terminal.result(recovered, () =>
    [
      ...recovered.done.map(({ place, did, reason }) => `${place}: ${did}${reason === null ? '' : `: ${reason}`}`),
      `${recovered.running} ran already, ${recovered.done.length} did not${simulatedText(recovered.isSimulated)}`,
    ].join('\n'),
  )
  return recovered.done.some(({ did }) => did === 'failed') ? 1 : 0
}
