// Three gates behind a balancer, 64 clients, three NATS servers; one gate and one server are killed at random and come back. FAIRLEAD_LONG=1 does it for five minutes.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { balancer } from '../kit/balancer.ts'
import { later } from '../kit/cleanup.ts'
import { type GateOptions, startGate } from '../kit/gate.ts'
import { hasNats, startNats } from '../kit/nats.ts'
import { type Dice, diceOf } from '../sim/seeded.ts'
import { type RunningGate, call, gateFor, openSession, temporaryFolder, textOf, until } from './bed.ts'

const isLong = process.env['FAIRLEAD_LONG'] !== undefined
const lengthMs = isLong ? 300_000 : 6_000
const clients = 64
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)

/** A server in a shell, a process for each session: it notes each call, takes its time where the text says so, and answers with the text. */
const noting = (log: string): readonly string[] => [
  '/bin/sh',
  '-c',
  String.raw`while read -r line; do
    id=\${line#*'"id":'}; id=\${id%%[,\}]*}
    text=\${line#*'"text":"'}; text=\${text%%'"'*}
    case $line in
      *'"notifications/'*) ;;
      *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'"$id"',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"noting","version":"1"}}}' ;;
      *'"tools/list"'*) echo '{"jsonrpc":"2.0","id":'"$id"',"result":{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}}' ;;
      *) echo "$text" >>"$0"; case $text in slow*) sleep 0.4;; esac; echo '{"jsonrpc":"2.0","id":'"$id"',"result":{"content":[{"type":"text","text":"'"$text"'"}]}}' ;;
    esac
  done`.replaceAll('\\$', '$'),
  log,
]

type Told = {
  readonly text: string
  readonly fromMs: number
  readonly toMs: number
  readonly how: 'answered' | 'refused' | 'cut'
  readonly why?: string
}

/** One call: a connection that breaks is the only end without a word. */
async function oneCall(url: string, session: string, text: string): Promise<Told> {
  const fromMs = performance.now()
  const ended = (how: Told['how'], why?: string): Told => ({
    text,
    fromMs,
    toMs: performance.now(),
    how,
    ...(why === undefined ? {} : { why }),
  })
  try {
    const answer = await call(url, 'echo', { text }, { session })
    return textOf(answer) === text ? ended('answered') : ended('refused', answer.body.error?.message ?? answer.text)
  } catch (error) {
    return ended('cut', String(error))
  }
}

/** Gates that are killed and started again, each on the port that it had. */
async function threeGates(options: GateOptions) {
  const gates: RunningGate[] = await Promise.all([0, 1, 2].map(() => gateFor(options)))
  const ports = gates.map(({ port }) => port)
  return {
    ports,
    kill: async (at: number) => gates[at]!.stop('SIGKILL'),
    /** As systemd does: again, until it stays up. */
    async start(at: number) {
      await until(
        'the gate is back',
        async () => {
          gates[at] = await startGate({ ...options, folder: gates[at]!.folder, port: ports[at]! }).catch(() => gates[at]!)
          return gates[at].process.exitCode === null && gates[at].process.signalCode === null
        },
        60_000,
      )
      const { process: child } = gates[at]!
      later(() => child.kill('SIGKILL'))
    },
  }
}

/** Kills one of them, lets it be away for a while, starts it, and again: until `isOver`. */
async function disturb(kill: () => Promise<() => unknown>, dice: Dice, isOver: () => boolean): Promise<void> {
  for (;;) {
    await wait(500 + dice.below(2_000))
    if (isOver()) return
    const start = await kill()
    await wait(dice.below(1_500))
    await start()
  }
}

test(`${clients} clients go on while gates and servers are killed (seed ${seed})`, { timeout: lengthMs + 120_000 }, async ({ skip }) => {
  if (!hasNats) skip('there is no nats-server here')
  const log = join(temporaryFolder(), 'calls')
  const nats = await startNats()
  const gates = await threeGates({
    cluster: nats.urls,
    settings: 'limits = [{ tools = ["echo"], per = "principal", calls_per_minute = 1000000, concurrent = 256 }]\n',
    upstreams: { far: { command: noting(log) } },
  })
  const url = `http://127.0.0.1:${await balancer(gates.ports)}/mcp/far`
  const dice = diceOf(seed)
  const sessions = await Promise.all(Array.from({ length: clients }, () => openSession(url)))
  const endMs = performance.now() + lengthMs
  const isOver = (): boolean => performance.now() > endMs
  const killsMs: number[] = []
  const told: Told[] = []
  const client = async (session: string, name: number): Promise<void> => {
    for (let at = 0; !isOver(); at++) {
      told.push(await oneCall(url, session, `${dice.chance(0.2) ? 'slow' : 'fast'}-${name}-${at}`))
      await wait(dice.below(400))
    }
  }
  const killGate = async () => {
    const at = dice.below(3)
    killsMs.push(performance.now())
    await gates.kill(at)
    return () => gates.start(at)
  }
  const killServer = async () => {
    const at = dice.below(3)
    await nats.kill(at)
    return () => nats.start(at)
  }
  await Promise.all([...sessions.map(client), disturb(killGate, dice, isOver), disturb(killServer, dice, isOver)])

  const counted = (how: Told['how']): Told[] => told.filter((one) => one.how === how)
  const reasons = Object.groupBy(counted('refused'), ({ why }) => why!.replace(/\d+/g, 'N'))
  console.log(`${told.length} calls: ${counted('answered').length} answered, ${counted('refused').length} refused, ${counted('cut').length} cut by ${killsMs.length} kills of gates`, Object.fromEntries(Object.entries(reasons).map(([why, all]) => [why, all!.length]))) // prettier-ignore
  for (const { why } of counted('refused')) expect(why).toMatch(/\w+ \w+/)
  // What nobody told a client was cut off by the death of its gate.
  for (const one of counted('cut'))
    expect(
      killsMs.some((ms) => ms > one.fromMs - 2_000 && ms < one.toMs),
      JSON.stringify(one),
    ).toBe(true)
  const ran = new Map<string, number>()
  for (const text of existsSync(log) ? readFileSync(log, 'utf8').split('\n').filter(Boolean) : []) ran.set(text, (ran.get(text) ?? 0) + 1)
  expect([...ran].filter(([, times]) => times > 1)).toEqual([])
  expect(counted('answered').filter(({ text }) => !ran.has(text))).toEqual([])
  expect(counted('answered').length).toBeGreaterThan(told.length / 2)
  expect(killsMs.length).toBeGreaterThan(0)
  await until(
    'every session goes on',
    async () => {
      const last = await Promise.all(sessions.map((session, name) => oneCall(url, session, `last-${name}-${performance.now()}`)))
      return last.every(({ how }) => how === 'answered')
    },
    30_000,
  )
})
