// The record of calls of a whole node, witnessed by another machine: by itself, by hand, and checked against it when somebody has cut it.
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { local, portOf, reachBench } from '../kit/reach-bench.ts'
import { later } from '../kit/cleanup.ts'
import { bed, run, up } from './bed.ts'

test(
  'a node with a witness in fairlead.toml: its record is witnessed; what is cut afterwards is found, though all that lay beside it is gone',
  { timeout: 120_000 },
  async () => {
    const bench = await reachBench()
    later(() => bench.close())
    const [box] = await bench.people(0)
    const registry = await bench.serve('registry', 'registry', ...local)
    const server = `127.0.0.1:${portOf(registry)}`
    await bench.serve(box!.home, 'agent', ...local, '--server', server)
    const place = bed(`[reach.peer]\nserver = "${server}"\nwitness = ["${box!.peerId}"]\n`)
    const made = await run(place, ['reach', 'init', '--name', 'node', '--json'])
    const { peerId } = JSON.parse(made.stdout) as { peerId: string }
    await bench.run(box!.home, 'witness', 'add', peerId)
    await expect
      .poll(async () => (await bench.run(box!.home, 'peers', '--server', server)).stdout, { timeout: 15_000 })
      .toContain(box!.peerId)
    const node = await up(place)
    const seen = async (): Promise<string> => (await bench.run(box!.home, 'witness', 'list')).stdout
    await expect.poll(seen, { timeout: 30_000 }).toMatch(/fairlead\/gate: \d+ entries/) // as the other end says
    expect((await node.stop('SIGTERM')).exitCode).toBe(0)

    const ledger = (...words: string[]) => run(place, ['gate', 'ledger', ...words])
    expect(await ledger('witness')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('witness --witness PEER') as string })
    const asked = await ledger('witness', '--witness', box!.peerId, '--server', server)
    expect(asked).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^witnessed up to \d+ by 12D3/) as string })
    const count = Number(/\d+/.exec(asked.stdout)![0])
    expect(await seen()).toContain(`fairlead/gate: ${count} entries`)
    expect((await ledger('verify')).stdout).toContain(`witnessed up to ${count} by ${box!.peerId}`)

    const folder = join(place.home, 'state', 'gate', 'ledger')
    const path = join(folder, 'ledger.jsonl')
    writeFileSync(path, readFileSync(path, 'utf8').split('\n').slice(0, 2).join('\n') + '\n')
    for (const name of readdirSync(folder)) if (name !== 'ledger.jsonl') rmSync(join(folder, name))
    expect(await ledger('verify')).toMatchObject({ exitCode: 0 }) // by itself it tells nothing
    const found = await ledger('verify', '--witness', box!.peerId, '--server', server)
    expect(found).toMatchObject({ exitCode: 3, stdout: expect.stringContaining(`were seen by ${box!.peerId}`) as string })
    const again = await ledger('witness', '--witness', box!.peerId, '--server', server)
    expect(again).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('its end was cut off') as string })
  },
)
