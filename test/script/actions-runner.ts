// Runs the job of a workflow as GitHub's runner does, on this machine: its steps in bash, composite actions of a checkout, files for what a step leaves to the next.
//   actions-runner.ts WORKFLOW FOLDER    FOLDER is made, for the workspace and what is temporary; secrets.NAME is SECRET_NAME of the environment
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { parse } from 'yaml'

type Variables = Readonly<Record<string, string>>
type Step = {
  readonly name?: string
  readonly run?: string
  readonly uses?: string
  readonly if?: string
  readonly with?: Variables
  readonly env?: Variables
}
type Workflow = {
  readonly name: string
  readonly jobs: Readonly<Record<string, { readonly env?: Variables; readonly steps: readonly Step[] }>>
}
type Action = {
  readonly inputs: Readonly<Record<string, { readonly default?: string }>>
  readonly runs: { readonly using: string; readonly steps: readonly Step[] }
}

const [file, folder] = process.argv.slice(2).map((path) => resolve(path)) as [string, string]
const checkout = resolve(import.meta.dirname, '../..')
const [workspace, temp] = [join(folder, 'work'), join(folder, 'temp')]
for (const made of [workspace, temp]) mkdirSync(made, { recursive: true })
const repository = process.env['GITHUB_REPOSITORY'] ?? 'o/r'
const contexts: Readonly<Record<string, (name: string) => string | undefined>> = {
  github: (name) => ({ repository, token: process.env['SECRET_GITHUB_TOKEN'] })[name],
  secrets: (name) => process.env[`SECRET_${name}`],
  vars: () => undefined,
}
const tracking = randomUUID()
const files = { GITHUB_ENV: join(temp, 'env'), GITHUB_PATH: join(temp, 'path') }
for (const path of Object.values(files)) writeFileSync(path, '')

/** Expressions that name one thing; what is not there is empty, as on GitHub. */
function filled(text: string, inputs: Variables): string {
  return text.replaceAll(/\$\{\{ (\w+)\.(\w+) \}\}/g, (_, context: string, name: string) =>
    context === 'inputs' ? (inputs[name] ?? '') : (contexts[context]!(name) ?? ''),
  )
}

function allFilled(values: Variables | undefined, inputs: Variables): Variables {
  return Object.fromEntries(Object.entries(values ?? {}).map(([name, value]) => [name, filled(value, inputs)]))
}

/** What the steps before left. */
function left(): Variables {
  const env = Object.fromEntries(lines(files.GITHUB_ENV).map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]))
  return { ...env, PATH: [...lines(files.GITHUB_PATH).toReversed(), process.env['PATH']!].join(':') }
}

const lines = (path: string): string[] => readFileSync(path, 'utf8').split('\n').filter(Boolean)

function shell(script: string, env: Variables): Promise<number> {
  const own = { GITHUB_REPOSITORY: repository, GITHUB_WORKSPACE: workspace, RUNNER_TEMP: temp, RUNNER_TRACKING_ID: tracking }
  const base = { HOME: process.env['HOME']!, CI: 'true', ...own, ...files }
  const trusted = process.env['NODE_EXTRA_CA_CERTS'] // of the machine
  const machine = trusted === undefined ? {} : { NODE_EXTRA_CA_CERTS: trusted }
  return new Promise((done) => {
    const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script], {
      cwd: workspace,
      env: { ...base, ...machine, ...left(), ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    child.once('exit', (code) => done(code ?? 1))
  })
}

async function runSteps(steps: readonly Step[], env: Variables, inputs: Variables): Promise<number> {
  let failed = 0
  for (const step of steps) {
    if (failed !== 0 && step.if !== 'always()') continue
    const title = step.name ?? step.uses ?? 'run'
    process.stdout.write(`##[group] ${title}\n`)
    const code = await runStep(step, { ...env, ...allFilled(step.env, inputs) }, inputs)
    if (code !== 0) process.stdout.write(`##[error] ${title}: exit code ${code}\n`)
    failed ||= code
  }
  return failed
}

function runStep({ run, uses, ...step }: Step, env: Variables, inputs: Variables): Promise<number> | number {
  if (run !== undefined) return shell(filled(run, inputs), env)
  if (uses!.startsWith('actions/checkout@')) return checkOut(step.with?.['path'])
  if (!uses!.startsWith('./')) throw new Error(`what is ${uses}?`)
  const home = join(workspace, uses!)
  const action = parse(readFileSync(join(home, 'action.yml'), 'utf8')) as Action
  const given = allFilled(step.with, inputs)
  const known = Object.entries(action.inputs).map(([name, { default: usual }]) => [name, given[name] ?? filled(usual ?? '', {})] as const)
  return runSteps(action.runs.steps, { ...env, GITHUB_ACTION_PATH: home }, Object.fromEntries(known))
}

/** Here everything comes from the checkout that this file lies in. */
function checkOut(path: string | undefined): number {
  if (path === undefined) return 0
  mkdirSync(dirname(join(workspace, path)), { recursive: true })
  symlinkSync(checkout, join(workspace, path))
  return 0
}

function isOurs(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`RUNNER_TRACKING_ID=${tracking}`)
  } catch {
    return false // it is gone, or somebody else's
  }
}

/** As GitHub's runner does when a job is over: ends what its steps have left behind. */
async function endOrphans(): Promise<void> {
  const signals: (NodeJS.Signals | 0)[] = ['SIGTERM', ...Array.from({ length: 100 }, () => 0 as const), 'SIGKILL']
  for (const signal of signals) {
    const left = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && isOurs(entry))
    if (left.length === 0) return
    for (const pid of left) {
      try {
        process.kill(Number(pid), signal)
      } catch {} // it has just ended
    }
    await wait(100)
  }
}

const { name, jobs } = parse(readFileSync(file, 'utf8')) as Workflow
let code = 0
for (const job of Object.values(jobs)) code ||= await runSteps(job.steps, allFilled(job.env, {}), {})
await endOrphans()
process.stdout.write(`${name}: ${code === 0 ? 'succeeded' : 'failed'}\n`)
process.exitCode = code
