// The nightly job, as its timer and as its workflow run it: the very steps of their files, against a real gate; it keeps its receipt and fails when a rotation is overdue.
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { temporaryFolder } from './bed.ts'
import { type Report, type StageBed, failed, stageBed } from './stage-bed.ts'

const root = resolve(import.meta.dirname, '../..')
type Step = {
  readonly name?: string
  readonly run?: string
  readonly uses?: string
  readonly if?: string
  readonly with?: { readonly path: string }
  readonly env?: Record<string, string>
}
type Workflow = { readonly jobs: { readonly smoke: { readonly env: Record<string, string>; readonly steps: readonly Step[] } } }

let bed: StageBed
beforeAll(async () => {
  bed = await stageBed()
  keep()
}, 120_000)
afterAll(cleanUp)

/** As the runner does it: each step in bash, with its variables; `values` stand for what it puts in. */
async function play(home: string, values: Readonly<Record<string, string>>): Promise<{ code: number; receipts: Report[]; said: string }> {
  const { env: common, steps } = (parse(readFileSync(join(root, 'deployment/github/stage-b-nightly.yml'), 'utf8')) as Workflow).jobs.smoke
  let [code, said] = [0, '']
  for (const { run, env = {} } of steps.filter((step) => step.run !== undefined)) {
    const filled = Object.entries(env).map(([name, value]) => [
      name,
      value.replace(/^\$\{\{ \w+\.(\w+) \}\}$/, (_, key: string) => values[key]!),
    ])
    // a checkout, as the first step makes it, is where the tests run; npm links it
    const script = run!.replace(/ \.$/, ` ${root}`)
    const base = { PATH: process.env['PATH']!, HOME: home, XDG_CONFIG_HOME: join(home, 'config'), RUNNER_TEMP: join(home, 'temp') }
    const ended = await shell(script, home, { ...base, ...common, ...Object.fromEntries(filled) })
    said += ended.said
    code ||= ended.code
  }
  const kept = steps.find((step) => step.uses?.startsWith('actions/upload-artifact') && step.if === 'always()')!.with!.path
  const receipts = readdirSync(join(home, kept)).map((file) => JSON.parse(readFileSync(join(home, kept, file), 'utf8')) as Report)
  return { code, receipts, said }
}

function shell(script: string, cwd: string, env: Readonly<Record<string, string>>): Promise<{ code: number; said: string }> {
  return new Promise((done) => {
    const child = spawn('bash', ['-eo', 'pipefail', '-c', script], { cwd, env })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
    child.on('close', (code) => done({ code: code!, said }))
  })
}

/** A machine whose configuration is that of the gate. */
function homeOf({ folder }: StageBed): string {
  const home = temporaryFolder()
  mkdirSync(join(home, 'config/fairlead'), { recursive: true })
  mkdirSync(join(home, 'temp'))
  cpSync(join(folder, 'fairlead.toml'), join(home, 'config/fairlead/fairlead.toml'))
  const text = readFileSync(join(home, 'config/fairlead/fairlead.toml'), 'utf8')
  writeFileSync(join(home, 'config/fairlead/fairlead.toml'), text.replace('logs = "logs"', `logs = "${folder}/logs"`))
  return home
}

const valuesOf = ({ gate, token }: StageBed) => ({ MCP_GATEWAY_URL: `http://127.0.0.1:${gate.port}`, MCP_CONNECTOR_TOKEN: token })

test('the workflow: green with its receipt', async () => {
  const { code, receipts, said } = await play(homeOf(bed), valuesOf(bed))
  expect({ code, said: code === 0 ? '' : said }).toEqual({ code: 0, said: '' })
  expect(receipts).toMatchObject([{ stage: 'B', doctrine_ok: true, doctrine_failures: [] }])
  expect(`${said}${JSON.stringify(receipts)}`).not.toContain(bed.token)
}, 60_000)

test('the workflow: red when a rotation is overdue, and the receipt says which', async () => {
  const stale = await stageBed('[gate.connectors.operator_upload]\nrotation_window = "1s"\n')
  await expect
    .poll(async () => (await play(homeOf(stale), valuesOf(stale))).receipts[0]!.handshake['operator_upload']!.status, { timeout: 20_000 })
    .toBe('failed')
  const { code, receipts } = await play(homeOf(stale), valuesOf(stale))
  expect([code, failed(receipts[0]!).includes('handshake')]).toEqual([1, true])
  expect(receipts[0]!.doctrine_failures[0]).toMatchObject({ about: 'operator_upload', evidence: expect.stringContaining('stale') })
}, 60_000)

test('the timer: its service runs the same job, from its own environment file', async () => {
  const unit = readFileSync(join(root, 'deployment/systemd/fairlead-stage-b-smoke.service'), 'utf8')
  const command = /^ExecStart=\/usr\/local\/lib\/node_modules\/fairlead\/(.+)$/m.exec(unit)![1]!
  const home = homeOf(bed)
  const env = {
    PATH: process.env['PATH']!,
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    RECEIPTS: join(home, 'receipts'),
    ABZU_USE_MCP: '1',
    ...valuesOf(bed),
  }
  const { code, said } = await shell(join(root, command), home, env)
  expect([code, readdirSync(join(home, 'receipts'))]).toEqual([0, [expect.stringMatching(/^\d{8}T\d{6}Z-stage-b-smoke\.json$/)]])
  expect(said).toContain('exit code 0')
  expect(unit).toContain('EnvironmentFile=/etc/fairlead/stage-b.env')
  expect(readFileSync(join(root, 'deployment/systemd/fairlead-stage-b-smoke.timer'), 'utf8')).toMatch(/^OnCalendar=\*-\*-\* \d\d:\d\d:00$/m)
  expect(unit).not.toMatch(/TOKEN=\S/)
})
