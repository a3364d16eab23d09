// Long work that outlives whoever asks for it: a transient unit of systemd, which goes on when the server or the helper is replaced, and tells how far it is.
import { type FolderLock, lockFolder } from '../base/store/lock.ts'
import { exec } from '../kernel/exec.ts'
import { asFault, faults } from '../kernel/fault.ts'
import { randomId } from '../kernel/random.ts'
import { runSystem, systemUnits } from './units.ts'

const fault = faults('job', {
  busy: (d: { kind: string; id: string }) => ({
    kind: 'conflict',
    message: `a job of this kind is running already: ${d.id}`,
    hint: 'wait for it: manage_get_job, or journalctl -f -u mcp-raspi-' + d.kind,
  }),
  unknown: (d: { id: string }) => ({
    kind: 'missing',
    message: `there is no job ${d.id}`,
    hint: 'of each kind the last one is known, until the machine is started anew',
  }),
  not_started: (d: { problem: string }) => ({
    kind: 'unavailable',
    message: `the job did not start: ${d.problem}`,
    hint: 'systemctl --failed',
  }),
})

/** One at a time of each. */
export const jobKinds = ['update', 'os-update', 'backup-now'] as const
export type JobKind = (typeof jobKinds)[number]
export type Job = {
  readonly id: string
  readonly state: 'running' | 'done' | 'failed'
  /** What it said last. */
  readonly lines: readonly string[]
}

const maxLines = 20
/** Where root alone writes, the helper too. */
const lockPlace = '/run/mcp-raspi'
const unitOf = (kind: JobKind): string => `mcp-raspi-${kind}.service`
const described = (id: string): string => `Fairlead job ${id}`
const jobName = /^(update|os-update|backup-now)\.[\w-]{8}$/

/** Begins it and returns its id; `before` is carried out first. Killed, it is begun anew. Faults `job.busy`, `job.not_started`. */
export async function startJob(kind: JobKind, argv: readonly [string, ...string[]], before?: string): Promise<string> {
  using _ = lockKind(kind) // of two at once the second would end what the first has just begun
  const unit = unitOf(kind)
  const last = await lastOf(kind)
  if (last?.state === 'running') throw fault.busy({ kind, id: last.id })
  await runSystem(['systemctl', 'stop', '--', unit]) // one that has ended stays until now, to be asked after
  await runSystem(['systemctl', 'reset-failed', '--', unit])
  const id = `${kind}.${randomId(6)}`
  const properties = [
    'Restart=on-abnormal',
    'RestartSec=1',
    'RemainAfterExit=yes',
    'StartLimitIntervalSec=0',
    'EnvironmentFile=-/etc/mcp-raspi/secrets.env',
    'UMask=0022',
    ...(before === undefined ? [] : [`ExecStartPre=${before}`]),
  ]
  const { exitCode, stderr } = await runSystem([
    'systemd-run',
    '--quiet',
    `--unit=${unit}`,
    `--description=${described(id)}`,
    '--service-type=exec',
    '--setenv=HOME=/root',
    '--setenv=DEBIAN_FRONTEND=noninteractive',
    ...properties.map((property) => `--property=${property}`),
    '--',
    ...argv,
  ])
  if (exitCode !== 0) throw fault.not_started({ problem: stderr.trim().split('\n')[0] || `exit code ${exitCode}` })
  return id
}

function lockKind(kind: JobKind): FolderLock {
  try {
    return lockFolder(lockPlace, `job-${kind}`)
  } catch (error) {
    throw asFault(error).code === 'store.locked' ? fault.busy({ kind, id: 'it begins just now' }, error) : error
  }
}

/** How far it is. Fault `job.unknown`. */
export async function findJob(id: string): Promise<Job> {
  const kind = jobName.exec(id)?.[1] as JobKind | undefined
  const last = kind && (await lastOf(kind))
  if (!kind || last?.id !== id) throw fault.unknown({ id })
  const { stdout } = await exec(
    [
      'journalctl',
      '--quiet',
      '--no-pager',
      '--output=cat',
      `--lines=${maxLines}`,
      `--unit=${unitOf(kind)}`,
      `--since=@${last.sinceSeconds}`,
    ],
    {
      env: { PATH: '/usr/bin:/bin' },
    },
  ).catch(() => ({ stdout: '' })) // told without them
  return { id, state: last.state, lines: stdout.split('\n').filter((line) => line !== '') }
}

async function lastOf(kind: JobKind): Promise<(Pick<Job, 'id' | 'state'> & { readonly sinceSeconds: number }) | undefined> {
  const { stdout } = await runSystem([
    'systemctl',
    'show',
    '--property=Description',
    '--property=ActiveEnterTimestamp',
    '--timestamp=unix',
    '--',
    unitOf(kind),
  ])
  const [, id] = /^Description=Fairlead job (\S+)$/m.exec(stdout) ?? []
  if (id === undefined) return undefined
  const { active, sub, pid } = await systemUnits.state(unitOf(kind))
  const state = active === 'failed' || (active === 'inactive' && pid === 0) ? 'failed' : sub === 'exited' ? 'done' : 'running'
  return { id, state, sinceSeconds: Number(/^ActiveEnterTimestamp=@(\d+)$/m.exec(stdout)?.[1] ?? 0) }
}
