// The helper at its socket. Who may open it is decided by folder, owner and group (docs/decisions/helper-socket.md): Node shows nothing of who is at the other end.
import { dirname } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { makeFolder, statOf } from '../../kernel/file.ts'
import { both } from '../../kernel/log.ts'
import { holdUnix, unixServer } from '../../base/wire/unix.ts'
import type { Wire } from '../../base/wire/wire.ts'
import { ByteBudget } from '../../base/wire/budget.ts'
import type { ToolSource } from '../../base/mcp/tool/tool.ts'
import { fault } from '../faults.ts'
import { agentLogName, openOwnLog } from '../logs/app-log.ts'
import { createHardware } from '../hardware/hardware.ts'
import type { MachineNeeds } from '../needs.ts'
import { createSystemd } from '../systemd.ts'
import { readTrusted } from '../trusted-config.ts'
import { maxRequestBytes } from './api.ts'
import { type ConnectionNeeds, HelperConnection } from './connection.ts'
import type { HelperNeeds } from './needs.ts'
import { createOperations, privilegedTools } from './operations.ts'
import { ownConfig } from './own-config.ts'
import { createPower } from './power.ts'
import { openRecord } from './record.ts'

/** Of what is at work when the helper is told to stop. */
const drainMs = 10_000
/** Arguments nest little. */
const maxDepth = 32
const maxElements = 20_000
const budgetBytes = 8 << 20

export type HelperDaemonNeeds = Pick<HelperNeeds, 'clock' | 'log' | 'host' | 'version'> & {
  readonly tools: readonly ToolSource<MachineNeeds>[]
}

export type HelperDaemonSettings = {
  /** The configuration file. */
  readonly config: string
  /** Where it listens when the configuration does not say it. */
  readonly socket: string
}

export interface HelperDaemon {
  readonly socket: string
  /** The names of what it can be asked for. */
  readonly operations: readonly string[]
  /** Reads the configuration again, though it seems the same. */
  reload(): void
  /** Lets what is at work end, as far as that takes no longer than 10 s. */
  close(): Promise<void>
}

/** Starts it. Faults `operate.untrusted_file`, `socket.busy`, `socket.cannot_listen`, and those of `loadConfig` and `openLedger`. */
export async function startHelper({ tools: sources, ...given }: HelperDaemonNeeds, settings: HelperDaemonSettings): Promise<HelperDaemon> {
  const { clock } = given
  await using stack = new AsyncDisposableStack()
  const { helper, hardware: devices, logging } = await readTrusted(settings.config)
  const log = both(given.log, stack.use(openOwnLog(clock, logging, dirname(helper.ledger), agentLogName)).log)
  const needs = { ...given, log }
  const config = ownConfig({ log }, settings.config)
  const socket = helper.socket ?? settings.socket
  const group = groupOf(socket)
  const tools = await privilegedTools(sources)
  const record = stack.adopt(openRecord({ clock, log }, helper.ledger, logging), (one) => one.close())
  const hardware = stack.adopt(createHardware(needs, devices), (one) => one.gpio.close())
  const systemd = createSystemd(needs.host)
  const isReal = async (): Promise<boolean> => (await config.current()).testing.sandbox_mode === 'disabled'
  const power = createPower({ clock, log, systemd, record, isReal })
  const operations = createOperations({ ...needs, hardware, systemd, power, config, record }, tools)
  const connections = new Connections({ operations, record, log }, helper.max_calls)
  const limits = { maxFrameBytes: maxRequestBytes, maxDepth, maxElements, budget: new ByteBudget(budgetBytes) }
  const server = unixServer(
    (wire) => connections.add(wire),
    (wire) => ({ limits, onBadLine: (problem) => connections.of(wire()).badLine(problem) }),
  )
  server.maxConnections = helper.max_connections
  server.on('drop', () => log.warn('helper.connection.dropped', { max: helper.max_connections }))
  stack.use(await holdUnix(server, socket, 0o660, group))
  await record.note('helper.started', { version: needs.version, operations: tools.size })
  const held = stack.move()
  log.info('helper.listening', { socket, operations: tools.size, ledger: helper.ledger })
  return {
    socket,
    operations: [...tools.keys()].sort(),
    reload: () => config.reload(),
    async close() {
      server.close()
      await connections.drain(clock)
      await record.note('helper.stopped', {})
      await held.disposeAsync()
    },
  }
}

/** The group that may enter the socket's folder is the one that may open the socket. */
function groupOf(socket: string): number {
  const folder = dirname(socket)
  makeFolder(folder, 0o750)
  const { mode, uid, gid } = statOf(folder)!
  if ((mode & 0o027) !== 0 || (uid !== 0 && uid !== process.geteuid?.())) {
    const problem = `anybody could open the socket in it, or put another one there (mode ${(mode & 0o777).toString(8)}, user ${uid})`
    throw fault.untrusted_file({ path: folder, problem, hint: `sudo chown root:mcp-raspi ${folder} && sudo chmod 750 ${folder}` })
  }
  return gid
}

class Connections {
  readonly #needs: ConnectionNeeds
  readonly #maxCalls: number
  readonly #byWire = new Map<Wire, HelperConnection>()
  #count = 0

  constructor(needs: ConnectionNeeds, maxCalls: number) {
    this.#needs = needs
    this.#maxCalls = maxCalls
  }

  add(wire: Wire): void {
    this.#byWire.set(wire, new HelperConnection(this.#needs, wire, ++this.#count, this.#maxCalls))
    void wire.ended.then(async () => {
      await wire.close() // a wire that ended by itself still has a socket
      this.#byWire.delete(wire)
    })
  }

  of(wire: Wire): HelperConnection {
    return this.#byWire.get(wire)!
  }

  async drain(clock: Clock): Promise<void> {
    const all = [...this.#byWire.values()]
    for (const until = clock.mono() + drainMs; all.some(({ calls }) => calls > 0) && clock.mono() < until;) await clock.wait(20)
    await Promise.all(all.map((one) => one.close()))
  }
}
