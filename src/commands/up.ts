// Brings up a whole node in one process on loopback, then proves it: a real MCP call through the whole line, with the time of each hop.
import { resolve } from 'node:path'
import { resolveCredential } from '../base/config/credential.ts'
import { type Probe, openProbe } from '../base/mcp/probe.ts'
import { childEnvironment } from '../base/supervise/environment.ts'
import { type Context, command, stopAsked } from '../base/terminal/command.ts'
import { type Node, bringUp } from './up/node.ts'
import { type Facts, type Health, type Shown, screen } from './up/screen.ts'

const factsTool = 'system_get_basic_info'
const healthTool = 'system_get_health_snapshot'
/** Calls from each place; their median is shown. */
const rounds = 9

const portFlag = (part: string, key: string, standard: number) =>
  ({
    summary: `the port of ${part} (by default ${key} of fairlead.toml, or ${standard}); 0: any free one`,
    value: 'PORT',
    type: 'integer',
  }) as const

export default command({
  summary: 'bring up a node on this machine, and prove it with a real call',
  description:
    'Registry, peer host, machine tools and gate in one process, on loopback unless fairlead.toml says otherwise. Then an MCP client starts ' +
    "`fairlead reach mcp-connect` and calls this machine's tools through the tunnel and the gate. Further upstreams, principals, rules and authorized peers come from fairlead.toml.",
  flags: {
    once: { summary: 'stop after the call; the exit code tells whether it worked' },
    'registry-port': portFlag('the registry', 'reach.registry.port', 8765),
    'peer-port': portFlag('the peer host', 'reach.peer.port', 8766),
    'machine-port': portFlag('the machine tools', 'operate.server.port', 8000),
    'gate-port': portFlag('the gate', 'gate.listen', 8001),
    'passphrase-file': { summary: "a file with the passphrase that seals the node's wallet", value: 'FILE' },
  },
  examples: [
    ['fairlead up', 'bring it up, show the call and stay until Ctrl-C'],
    ['fairlead up --once', 'the same, and stop: exit code 0 when the call worked'],
  ],
  async run(context, { flags }) {
    const { terminal, env } = context
    const file = flags['passphrase-file']
    const passphrase = file === undefined ? undefined : await resolveCredential({ file: resolve(file) }, { env, folder: '' })
    await using node = await bringUp(context, flags, passphrase)
    const shown = { ...(await proveLine(context, node)), ...(flags.once ? {} : { signIn: node.signInLink() }) }
    const [facts, health] = [shown.results[factsTool] as Facts, shown.results[healthTool] as Health]
    terminal.result(shown, () => screen(shown, facts, health, terminal.style, !flags.once))
    if (flags.once) return
    await stopAsked(context)
    terminal.progress('stopping, once running calls have ended; Ctrl-C again stops at once')
  },
})

/** Makes the same call from three places in turn, so that the difference is what each hop costs and nothing else. */
async function proveLine(
  { terminal, self, env, version, clock, log, signal }: Context,
  { identities, addresses, localPeer }: Node,
): Promise<Shown> {
  const [command, ...rest] = self
  const args = [...rest, 'reach', 'mcp-connect', identities.node, '--home', identities.clientFolder, '--address', localPeer]
  const { owner, machine } = identities.tokens
  terminal.progress('calling through the whole line')
  await using whole = await openProbe(
    clock,
    {
      name: 'the whole line',
      command: [command, ...args],
      env: childEnvironment(env, { FAIRLEAD_LOG: env['FAIRLEAD_LOG'] ?? 'warn' }),
      said: (line) => log.debug('up.mcp_connect', { line }),
    },
    signal,
  )
  const results: Record<string, unknown> = {}
  for (const tool of [factsTool, healthTool]) results[tool] = (await whole.call(tool)).result
  terminal.progress('calling at each hop')
  await using direct = await openProbe(clock, { name: 'the machine tools', url: addresses.machine, token: machine.value }, signal)
  await using gated = await openProbe(clock, { name: 'the gate', url: addresses.gate, token: owner.value }, signal)
  const times = await mediansOf([direct, gated, whole])
  const hops = ['machine tools', 'gate (access, record)', 'mcp-connect (tunnel)']
  return {
    ok: true,
    version,
    addresses,
    peerId: identities.node,
    line: ['client', 'reach mcp-connect', 'tunnel', 'gate', 'machine tools'],
    results,
    hops: hops.map((hop, i) => ({ hop, callMs: times[i]!, addsMs: times[i]! - (times[i - 1] ?? 0) })),
    firstAnswerMs: whole.firstAnswerMs,
    client: { mcpServers: { 'this-machine': { command, args } } },
    http: { url: addresses.gate, tokenFile: owner.path },
  }
}

/** The median time of a call from each place, in milliseconds. The places take turns: what else this machine does troubles all alike. */
async function mediansOf(probes: readonly Probe[]): Promise<number[]> {
  const times = probes.map((): number[] => [])
  for (let round = 0; round < rounds; round++)
    for (const [at, probe] of probes.entries()) times[at]!.push((await probe.call(factsTool)).tookMs)
  return times.map((taken) => taken.sort((a, b) => a - b)[Math.floor(rounds / 2)]!)
}
