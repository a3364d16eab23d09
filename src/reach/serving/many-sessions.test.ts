// What a server keeps of sessions that are over: nothing. A real mcp-serve, and peers that come, are answered and go, each in one of the ways in which peers go.
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Heap, heapOf } from '../../../test/kit/heap.ts'
import { type Person, type ReachBench, type Service, local, reachBench } from '../../../test/kit/reach-bench.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { loadWallet } from '../../base/identity/wallet.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import { connectTunnel } from '../../base/peer/tunnel/client.ts'
import { tunnelProtocol } from '../../base/peer/tunnel/tunnel.ts'
import { scan } from '../../base/wire/scan.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { homeIn } from '../home.ts'

const isLong = Boolean(process.env['FAIRLEAD_LONG'])
const first = 100
const sessions = isLong ? 10_000 : 500
/** In the long form a kilobyte a session; in the short one what V8 learns of warm code is half of it. */
const allowedMb = isLong ? 10 : 1
const atOnce = 6

/** Answers one request with the id 1, and stays until its input ends: far cheaper to start than a Node. */
const cheapServer = `sh -c 'read -r line; echo "{\\"jsonrpc\\":\\"2.0\\",\\"id\\":1,\\"result\\":{}}"; exec cat >/dev/null'`
const request = scan(Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/list"}'))

let bench: ReachBench
afterEach(() => bench.close())

test(
  `the heap of an idle mcp-serve after ${sessions} sessions is within ${allowedMb} MB of the first hundred’s`,
  { timeout: isLong ? 3_600_000 : 300_000 },
  async () => {
    bench = await reachBench()
    const [box, mac] = await bench.people(1)
    const serving = await startServing(bench, box!, mac!)
    const heap = await heapOf(serving.log())
    bench.undo(() => heap.close())
    const wallet = homeIn(join(bench.folder, mac!.home, '.local/state/fairlead/reach')).wallet
    const { identity } = await loadWallet(wallet)
    let count = 0
    const visitUntil = async (end: number): Promise<void> => {
      const lane = async (): Promise<void> => {
        while (count < end) await visit(serving, identity, count++)
      }
      await Promise.all(Array.from({ length: atOnce }, lane))
    }
    await visitUntil(first)
    const before = await least(heap, 3_000)
    await visitUntil(sessions)
    let after = Infinity
    await expect.poll(async () => (after = await heap.usedMb()) - before, { timeout: 20_000 }).toBeLessThan(allowedMb)
    console.info(`heap of mcp-serve: ${before.toFixed(2)} MB after ${first} sessions, ${after.toFixed(2)} MB after ${sessions}`)
  },
)

async function startServing(bench: ReachBench, box: Person, mac: Person): Promise<Service> {
  const words = ['--authorized-peer', mac.peerId, '--command', cheapServer, '--keep', '1', '--no-lan', ...local]
  bench.environment['NODE_OPTIONS'] = '--inspect=127.0.0.1:0'
  const serving = await bench.serve(box.home, 'mcp-serve', ...words)
  delete bench.environment['NODE_OPTIONS']
  return serving
}

/** One session over a connection of its own. Most end in good order; some are cut off, and wait until they expire; and some come from a stranger, who gets none. */
async function visit(serving: Service, known: Identity, n: number): Promise<void> {
  const isStranger = [2, 4, 8].includes(n % 10)
  const isCut = n % 10 === 7
  const host = await createPeerHost({ identity: isStranger ? createIdentity() : known, clock, log }, { listen: [] })
  try {
    const open = (signal: AbortSignal) => host.dial(serving.peerId, serving.addresses, tunnelProtocol, signal)
    const opening = connectTunnel({ open, clock, log })
    if (isStranger) return await expect(opening).rejects.toMatchObject({ code: 'peer.refused' })
    const tunnel = await opening
    const answered = new Promise<unknown>((resolve) =>
      tunnel.read({ write: ({ kind }) => (resolve(kind), true), room: () => Promise.resolve() }),
    )
    tunnel.write(request)
    expect(await answered).toBe('result')
    if (!isCut) await tunnel.close()
  } finally {
    await host.close()
  }
}

/** The least that it holds within a while: sessions that were cut expire first, and connections linger. */
async function least(heap: Heap, whileMs: number): Promise<number> {
  let usedMb = Infinity
  for (const until = performance.now() + whileMs; performance.now() < until; await clock.wait(250))
    usedMb = Math.min(usedMb, await heap.usedMb())
  return usedMb
}
