// The machine server under systemd: what it says is in the journal with its urgency, and its own tool finds it there.
import { resolve } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Nodes, createNodes, obstacle } from './nodes.ts'

const missing = obstacle()
const repository = resolve(import.meta.dirname, '../..')
let nodes: Nodes

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(async () => {
  if (missing === undefined) nodes = await createNodes(['pi'], { mounts: [`${repository}:/opt/fairlead:ro`] })
}, 90_000)
afterAll(() => nodes?.close(), 60_000)

async function root(script: string, input?: string): Promise<string> {
  const { code, stdout, stderr } = await nodes.exec('pi', ['sh', '-ec', script], {
    ...(input === undefined ? {} : { input }),
    timeoutMs: 60_000,
  })
  if (code !== 0) throw new Error(`exit code ${code}: ${stdout}${stderr}`)
  return stdout.trim()
}

type Found = { entries: { message: string; priority: string; unit: string }[]; cursor?: string }

const journal = (input: object): Promise<Found> => ask('logs_query_journal', input)

async function ask<Answer>(name: string, input: object): Promise<Answer> {
  const lines = [
    { method: 'initialize', id: 1, params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } },
    { method: 'notifications/initialized' },
    { method: 'tools/call', id: 2, params: { name, arguments: input } },
  ].map((message) => `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  const said = await root('/opt/fairlead/bin/fairlead operate server --stdio --config /etc/t/stdio.yml 2>/dev/null', lines.join(''))
  const { result } = JSON.parse(said.split('\n').at(-1)!) as {
    result: { isError?: true; content: { text: string }[]; structuredContent: Answer }
  }
  if (result.isError) throw new Error(result.content[0]!.text)
  return result.structuredContent
}

test('errors of the server are errors of its unit, for journalctl -p err and for logs_query_journal', async () => {
  await root('mkdir -p /etc/t; cat >/etc/t/stdio.yml', 'helper: { allow: { units: [machine.service] } }\n')
  await root('cat >/etc/t/config.yml', 'metrics: { storage_path: /dev/null/metrics.db }\nserver: { port: 0 }\n')
  await root(
    'systemd-run --quiet --unit=machine -p Environment=FAIRLEAD_HOME=/var/lib/t /opt/fairlead/bin/fairlead operate server --config /etc/t/config.yml',
  )
  const lines = (priority: string): Promise<string> => root(`journalctl -u machine -p ${priority} --no-pager -o cat`)
  await expect.poll(() => lines('info'), { timeout: 30_000 }).toMatch(/machine\.listening/)
  expect(await lines('err')).toMatch(/^\{"time":.*"metrics\.not_kept"/)
  expect(await lines('err')).not.toMatch(/machine\.listening|^</m)

  const errors = await journal({ unit: 'machine', priority: 'err', pattern: 'metrics\\.not_' })
  expect(errors.entries).toMatchObject([{ message: expect.stringContaining('metrics.not_kept'), priority: 'err', unit: 'machine.service' }])

  const first5 = { unit: 'machine', priority: 'err', which: 'first', limit: 5 }
  const { unit, lines: ofUnit } = await ask<{ unit: string; lines: { message: string }[] }>('service_logs', first5)
  expect(unit).toBe('machine.service')
  expect(ofUnit.map(({ message }) => message).join('\n')).toContain('metrics.not_kept')
  await expect(ask('service_logs', { unit: 'systemd-journald' })).rejects.toThrow(/helper\.allow\.units/)

  await root('for i in 1 2 3 4 5; do echo "count $i" | systemd-cat -t counter; done')
  const counts = ({ entries }: Found): string[] => entries.map(({ message }) => message)
  await expect.poll(() => root('journalctl -t counter --no-pager -o cat | wc -l'), { timeout: 10_000 }).toBe('5')
  const last = await journal({ pattern: '^count [0-9]$', limit: 2 })
  expect(counts(last)).toEqual(['count 4', 'count 5'])
  expect(counts(await journal({ pattern: '^count [0-9]$', limit: 2, cursor: last.cursor }))).toEqual(['count 2', 'count 3'])
  const first = await journal({ pattern: '^count [0-9]$', limit: 2, which: 'first', boot: '0' })
  expect(counts(first)).toEqual(['count 1', 'count 2'])
  const rest = await journal({ pattern: '^count [0-9]$', limit: 9, which: 'first', boot: '0', cursor: first.cursor })
  expect([counts(rest), rest.cursor]).toEqual([['count 3', 'count 4', 'count 5'], undefined])
  await expect(journal({ pattern: '(' })).rejects.toThrow(/cannot be searched for that/)
}, 90_000)
