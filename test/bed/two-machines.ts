// The program on two machines behind routers that let nothing in, and its registry in the public place between them: each a process of its own with a home and a
// namespace of its own. Tests and a benchmark cut the path between them. Imports nothing of the program.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { McpClient } from '../kit/mcp-client.ts'
import { type Lab, type Side, createLab } from './namespaces.ts'
import { type Person, type Running, connect, idOf, person, root, run, serve, until } from './people.ts'

/** One way to cut the path. Resolves when nothing of it is cut any more. */
export type Cut = (forMs: number, side: Side) => Promise<void>
export type CutKind = 'cable' | 'swallowed' | 'relay killed' | 'address changed'

export interface TwoMachines {
  readonly lab: Lab
  readonly folder: string
  /** The peer id of the machine that serves. */
  readonly box: string
  /** Every line that the MCP server has written so far: `started PID`, and the id of each call. */
  calls(): string[]
  /** An MCP client on the other machine. */
  connect(...words: readonly string[]): McpClient
  readonly cuts: Readonly<Record<CutKind, Cut>>
  /** Done at `close`, last first. */
  readonly undo: (() => unknown)[]
  close(): Promise<void>
}

/** Starts it all, `program` being the argv of the program itself; resolves when the one reaches the other through the relay. */
export async function twoMachines(program: readonly string[]): Promise<TwoMachines> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bed-'))
  const lab = createLab()
  const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true }), () => lab.close()]
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step()
  }
  const someone = (place: string, who: string): Person => person(place, folder, who, { program })
  const [registrar, linux, mac] = [someone(lab.public, 'registry'), someone(lab.box, 'box'), someone(lab.mac, 'mac')]
  const startRegistry = (): Promise<Running> =>
    serve(registrar, undo, 'registry', '--host', '0.0.0.0', '--announce', '/ip4/203.0.113.1/tcp/8765')

  try {
    const counted = join(folder, 'calls')
    writeFileSync(counted, '')
    let registry = await startRegistry()
    await Promise.all([run(linux, 'init', '--name', 'Box'), run(mac, 'init', '--name', 'Mac')])
    const server = ['--server', lab.publicAddress]
    await run(mac, 'register', ...server)
    const command = `${process.execPath} ${join(root, 'test/bed/counting-server.mjs')} ${counted}`
    await serve(linux, undo, 'mcp-serve', '--authorized-peer', await idOf(mac), '--command', command, ...server)
    const box = await idOf(linux)
    await until('Box is reached through the relay', async () => /Box .*relayed/.test(await run(mac, 'peers')))
    const around =
      (set: (side: Side, isCut: boolean) => void): Cut =>
      async (forMs, side) => {
        set(side, true)
        await wait(forMs)
        set(side, false)
      }
    return {
      lab,
      folder,
      box,
      calls: () => readFileSync(counted, 'utf8').trim().split('\n'),
      connect: (...words) => connect(mac, undo, box, ...words),
      cuts: {
        cable: around((side, isCut) => lab.cable(side, !isCut)),
        swallowed: around((side, isCut) => lab.swallow(side, isCut)),
        async 'relay killed'(forMs) {
          await registry.stop('SIGKILL')
          await wait(forMs)
          registry = await startRegistry()
        },
        'address changed': async (_, side) => lab.move(side),
      },
      undo,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
