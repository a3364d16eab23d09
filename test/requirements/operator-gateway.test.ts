// Plays docs/runbooks/operator-gateway.md, and says which requirements of the runbook no step has proved.
import { expect } from 'vitest'
import type { Acts } from '../script/play.ts'
import { operatorGateway } from './operator-gateway.ts'
import { playPage } from './play-page.ts'

const acts: Acts = {
  async 'the gateway is killed'({ stage, window }) {
    // within the host's own processes
    const { exitCode } = await stage.hosts.get('ops')!.run('pkill -KILL -f "[g]ate serve"')
    expect(exitCode).toBe(0)
    await window('gate').ended
  },
  async 'every message was done once'({ stage, window }) {
    const ops = stage.hosts.get('ops')!
    const said = ['service', 'frozen', 'back'].map(
      (name) =>
        window(name)
          .output()
          .match(/^\d+ by \w+$/gm) ?? [],
    )
    for (const lines of said) expect(lines.map((line) => Number.parseInt(line, 10))).toEqual(lines.map((_, at) => at + 1))
    const by = (route: string): number => said.flat().filter((line) => line.endsWith(` by ${route}`)).length
    // Ctrl-C may come after a message was done and before it was said, once for each of the three; and one may have been done by the gate that was killed, and asked for again
    const calls = ops
      .read('~/.local/state/fairlead/gate/ledger/ledger.jsonl')
      .match(/"event":"call\.begin","principal":"operator_api"/g)!.length
    const direct = ops.read('~/service/direct.log').trim().split('\n').length
    expect(by('mcp') + by('direct')).toBeGreaterThan(5)
    expect(calls + direct - by('mcp') - by('direct')).toBeLessThanOrEqual(4)
    expect(calls).toBeGreaterThanOrEqual(by('mcp'))
    expect(direct).toBeGreaterThanOrEqual(by('direct'))
  },
}

playPage({
  file: 'operator-gateway.md',
  hosts: ['ops'],
  tools: ['npm', 'python3', 'pkill', 'sha256sum'],
  acts,
  requirements: operatorGateway,
})
