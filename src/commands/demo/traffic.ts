// What goes on in the demo: people and a bot call tools through the gate, some of it refused; runners ask the API through the cache; and some things are changed under way.
import { join } from 'node:path'
import { tokenHash } from '../../base/access/principal.ts'
import { type HttpClient, createHttpClient } from '../../base/http/client.ts'
import { type Probe, openProbe } from '../../base/mcp/probe.ts'
import type { Context } from '../../base/terminal/command.ts'
import { asFault } from '../../kernel/fault.ts'
import { readText } from '../../kernel/file.ts'
import { gateCalls } from '../../gate/client.ts'
import type { Fleet } from './fleet.ts'
import { newNotes, newWeb } from './programs.ts'

type Needs = Pick<Context, 'clock' | 'log' | 'signal' | 'terminal'>

const everyMs = 2_000
/** How long the gate may take to follow what a node offers. */
const offeredMs = 20_000
/** And how long it may all take to be noticed: then the demo is shown as it is. */
const noticedMs = 20_000
const connectors = ['operator_api', 'operator_upload', 'crown_handshake'] as const

export type Traffic = AsyncDisposable & {
  /** Goes on until the signal stops it. */
  keepOn(): Promise<void>
}

/** Makes the first calls, then the changes: a version that is defined and not deployed, a tool that says other things than before, credentials. */
export async function beginTraffic(needs: Needs, fleet: Fleet): Promise<Traffic> {
  const { clock, signal, terminal } = needs
  await using stack = new AsyncDisposableStack()
  const http = createHttpClient()
  stack.defer(() => http.close())
  terminal.progress('calling through gate and cache')
  const gateUrl = new URL('/mcp', fleet.up.addresses.gate).href
  const owner = readText(fleet.up.http.tokenFile)!.trim()
  const notesUrl = `${gateUrl}/notes`
  const ann = stack.use(
    await onceOffered(needs, () => openProbe(clock, { name: 'the gate', url: notesUrl, token: fleet.people.ann }, signal)),
  )
  const bot = stack.use(await openProbe(clock, { name: 'the gate', url: notesUrl, token: fleet.people['build-bot'] }, signal))
  const machine = stack.use(await openProbe(clock, { name: 'the gate', url: `${gateUrl}/machine`, token: owner }, signal))
  const { command, args } = fleet.up.client.mcpServers['this-machine']
  const peer = stack.use(
    await openProbe(
      clock,
      { name: 'the tunnel', command: [command, ...args], env: fleet.env, said: (line) => needs.log.debug('demo.peer', { line }) },
      signal,
    ),
  )
  const callers: Callers = { ann, bot, machine, peer, http, fleet }
  await round(callers, 0, signal)
  await round(callers, 1, signal)
  await change(needs, fleet)
  await settled(needs, fleet, () => round(callers, 1, signal))
  const waiting = keepAsking(needs, ann)
  stack.defer(() => waiting.stop())
  const held = stack.move()
  return {
    async keepOn() {
      for (let at = 2; ; at++) {
        await clock.wait(everyMs, signal)
        await round(callers, at, signal)
      }
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

type Callers = {
  readonly ann: Probe
  readonly bot: Probe
  readonly machine: Probe
  readonly peer: Probe
  readonly http: HttpClient
  readonly fleet: Fleet
}

/** One of each: what is refused or fails is what is to be seen, so nothing of it ends the demo. */
async function round({ ann, bot, machine, peer, http, fleet }: Callers, at: number, signal: AbortSignal): Promise<void> {
  const calls: readonly (() => Promise<unknown>)[] = [
    () => ann.call('list_notes'),
    () => ann.call('add_note', { text: `a note of round ${at}` }),
    () => bot.call('list_notes'),
    () => bot.call('add_note', { text: 'the bot was here' }), // no rule allows it
    () => machine.call('system_get_basic_info'),
    () => peer.call('metrics_realtime'),
    () => stranger(http, fleet, signal),
    ...Array.from({ length: 6 }, (_, part) => () => runner(http, fleet, `/repos/demo/part-${(at + part) % 8}`, signal)),
  ]
  for (const call of calls) {
    await call().catch(() => {})
    signal.throwIfAborted()
  }
}

/** Somebody without a credential. */
async function stranger(http: HttpClient, { up }: Fleet, signal: AbortSignal): Promise<void> {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const body = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
  const response = await http.send({ method: 'POST', url: new URL('/mcp/notes', up.addresses.gate), headers, body, signal })
  response.resume()
}

async function runner(http: HttpClient, { cacheUrl }: Fleet, path: string, signal: AbortSignal): Promise<void> {
  const response = await http.send({
    method: 'GET',
    url: new URL(path, cacheUrl),
    headers: { authorization: 'Bearer demo-runner', accept: 'application/json' },
    signal,
  })
  response.resume()
}

async function change({ signal, terminal }: Needs, { nodes, program, ports, home }: Fleet): Promise<void> {
  terminal.progress('changing some of it')
  const [notes, web] = [newNotes(program, ports), newWeb(program, ports)]
  await Promise.all([
    nodes.attic.calls.deploy({ service: notes.name, text: notes.text }, { signal }),
    nodes.cellar.calls.sync({ texts: [web.text] }, { signal }),
  ])
  const gate = gateCalls(join(home, 'run', 'gate'))
  const { makeCredential } = await import('../../gate/connector/credentials.ts')
  for (const connector of connectors)
    await gate['rotate-connectors']({ connectors: [connector], sha256: tokenHash(makeCredential().reveal()) }, { signal })
}

/** What is wrong on purpose can be seen: the gate noticed what the notes say now, and the node in the garage what became of its services. */
async function settled({ clock, signal, terminal }: Needs, { home, nodes }: Fleet, call: () => Promise<void>): Promise<void> {
  terminal.progress('waiting until it is noticed')
  const gate = gateCalls(join(home, 'run', 'gate'))
  const until = clock.mono() + noticedMs
  for (;;) {
    const [held, garage] = await Promise.all([gate['list-tools']({}, { signal }), nodes.garage.calls.status({ events: 0 }, { signal })])
    const isDrifted = garage.services.every(({ components }) => components.every(({ drifts }) => drifts.length > 0))
    if ((held.length > 0 && isDrifted) || clock.mono() > until) return
    await clock.wait(500, signal)
    await call()
  }
}

/** A call that needs a person's yes waits for it, always one. */
function keepAsking({ clock, log, signal }: Needs, ann: Probe): { stop(): void } {
  const over = new AbortController()
  const either = AbortSignal.any([signal, over.signal])
  const ask = async (): Promise<void> => {
    while (!either.aborted) {
      await ann
        .call('delete_note', { id: '1' })
        .catch((error: unknown) => log.debug('demo.delete_note', { problem: asFault(error).message }))
      await clock.wait(everyMs, either).catch(() => {})
    }
  }
  void ask()
  return { stop: () => over.abort(new Error('the demo is over')) }
}

/** The gate has an upstream as soon as it heard the offer. */
async function onceOffered<T>({ clock, signal }: Needs, attempt: () => Promise<T>): Promise<T> {
  const until = clock.mono() + offeredMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (signal.aborted || clock.mono() > until) throw error
      await clock.wait(250, signal)
    }
  }
}
