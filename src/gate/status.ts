// What a look at the whole machine tells of the gate: whether it works, what waits for a person, and how its connectors stand.
import type { LookNeeds, StatusLine, StatusSource } from '../base/checks/status.ts'
import { askNearby } from '../base/control/nearby.ts'
import { deadline } from '../kernel/clock.ts'
import { durationText } from '../base/terminal/amount.ts'
import { join } from 'node:path'
import { asFault } from '../kernel/fault.ts'
import { type ConnectorState, gateApi } from './api.ts'
import type { GateCalls } from './client.ts'
import type { ClusterState } from './together.ts'

const source: StatusSource = {
  title: 'Gate',
  async look(needs) {
    const folders = needs.homes.map((home) => join(home.folders.runtime, 'gate'))
    const answers = await askNearby(needs, { name: 'gate', api: gateApi, folders, start: 'fairlead gate serve' }, async (calls, signal) => {
      const [summary, connectors] = await Promise.all([calls.summary({}, { signal }), calls['list-connectors']({}, { signal })])
      const isUsed = connectors.some(({ status }) => status !== 'unissued')
      return { summary, connectors, doctrine: isUsed ? [await doctrineLine(needs, calls)] : [] }
    })
    return {
      lines: answers.flatMap(({ name, line, value }) =>
        line ? [line] : [...gateLines(needs, name, value.summary), ...connectorLines(needs, value.connectors), ...value.doctrine],
      ),
      events: answers.flatMap(({ value }) => value?.summary.trouble ?? []),
    }
  },
}

export default source

type Summary = {
  readonly url: string
  readonly startedAt: number
  readonly health: 'ok' | 'degraded' | 'failing'
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly reason: string; readonly remedy?: string | undefined }[]
  readonly upstreams: number
  readonly sessions: number
  readonly waiting: number
  readonly requests: Readonly<Record<string, number>>
  readonly cluster?: ClusterState | undefined
}

function gateLines({ clock }: LookNeeds, name: string, summary: Summary): readonly StatusLine[] {
  const { url, startedAt, health, checks, upstreams, sessions, waiting, requests } = summary
  const count = (...outcomes: readonly string[]): number => outcomes.reduce((sum, outcome) => sum + (requests[outcome] ?? 0), 0)
  const all = Object.values(requests).reduce((sum, one) => sum + one, 0)
  const parts = [
    `${url || 'no HTTP'}, up ${durationText(Math.max(0, clock.now() - startedAt) / 1_000)}`,
    `${counted(upstreams, 'upstream')}, ${counted(sessions, 'session')}`,
    `${counted(all, 'request')}, ${count('refused')} refused, ${count('notSent', 'unknown')} failed`,
  ]
  const lines: StatusLine[] = [
    {
      name,
      standing: health === 'failing' ? 'bad' : 'good',
      text: parts.join('; '),
      ...(health === 'failing' ? { remedy: 'look at its log' } : {}),
    },
  ]
  for (const { name: check, ok, reason, remedy } of checks) {
    if (ok || check === 'tools') continue // of tools there is a line for each upstream
    lines.push({ name: check, standing: 'bad', text: reason, remedy })
  }
  if (summary.cluster) lines.push(clusterLine(summary.cluster))
  if (waiting > 0)
    lines.push({
      name: 'approvals',
      standing: 'good',
      text: `${counted(waiting, 'call')} ${waiting === 1 ? 'waits' : 'wait'} for your yes`,
      remedy: 'fairlead gate approve',
    })
  return lines
}

/** A majority that is current keeps what is written; a server that is away is one that may not be lost any more. */
function clusterLine({ gates, servers, problem }: ClusterState): StatusLine {
  const name = 'cluster'
  const remedy = 'look at the nats-servers (docs/guide/cluster.md)'
  if (problem !== undefined) return { name, standing: 'bad', text: `${counted(gates, 'gate')} known; ${problem}`, remedy }
  const told = servers.map(({ server, is, behind }) => {
    const words = { leader: 'leads', current: 'is current', behind: `is ${counted(behind, 'write')} behind`, away: 'is away' }
    return `${server} ${words[is]}`
  })
  const isWhole = servers.every(({ is }) => is === 'leader' || is === 'current')
  const text = `${counted(gates, 'gate')}; ${told.join(', ')}`
  return { name, standing: isWhole ? 'good' : 'bad', text, ...(isWhole ? {} : { remedy }) }
}

const maxToldChecks = 6
/** The checks are waited for so long, after the gate's own answers: it is a part of a look, and must leave the rest of it its time. */
const doctrineMs = 200

/** All checks in one line: what each found is for `fairlead gate doctrine` to tell. */
async function doctrineLine({ clock, signal }: LookNeeds, calls: GateCalls): Promise<StatusLine> {
  const name = 'doctrine'
  const remedy = 'fairlead gate doctrine'
  const over = deadline(clock, doctrineMs, signal)
  try {
    const findings = await calls['show-doctrine']({}, { signal: over })
    const failures = findings.filter(({ verdict }) => verdict !== 'good')
    if (failures.length === 0) return { name, standing: 'good', text: `${counted(findings.length, 'finding')}, all good` }
    const checks = [...new Set(failures.map((finding) => finding.name))]
    const told = [...checks.slice(0, maxToldChecks), ...(checks.length > maxToldChecks ? [`${checks.length - maxToldChecks} more`] : [])]
    const isBad = failures.some(({ verdict }) => verdict === 'bad')
    return {
      name,
      standing: isBad ? 'bad' : 'unknown',
      text: `${failures.length} of ${counted(findings.length, 'finding')} are not good: ${told.join(', ')}`,
      remedy,
    }
  } catch (error) {
    if (signal.aborted) throw error
    const text = over.aborted ? `its checks took more than ${doctrineMs / 1_000} s` : asFault(error).message
    return { name, standing: 'unknown', text, remedy }
  }
}

/** A connector that was never given a credential is not in use. One that is late, stale or frozen has a line already, as a part of the gate's health. */
function connectorLines({ clock }: LookNeeds, connectors: readonly ConnectorState[]): readonly StatusLine[] {
  const used = connectors.filter(({ status }) => status !== 'unissued')
  if (connectors.length > 0 && used.length === 0)
    return [{ name: 'connectors', standing: 'off', text: `none of ${connectors.length} has a credential` }]
  return used.flatMap((state): readonly StatusLine[] => {
    const { connector_id: id, status, credential_expiry: expiry, window_hours: windowHours, rotation } = state
    if (status !== 'alive' && status !== 'quiet') return []
    const leftMs = expiry === null ? 0 : Date.parse(expiry) - clock.now()
    const isDue = leftMs < (windowHours * 3_600_000) / 4 && rotation === null
    const left = `its credential is fresh for ${durationText(Math.max(0, leftMs) / 1_000)}`
    const text = `${status === 'alive' ? 'alive' : 'no session'}; ${rotation ? `rotating until ${rotation.until}, ${rotation.proved ? 'proved' : 'not proved yet'}` : left}`
    const remedy = `fairlead gate rotate ${id} --out FILE`
    return [{ name: `connector ${id}`, standing: 'good', text: isDue ? `${text}: a rotation is due` : text, ...(isDue ? { remedy } : {}) }]
  })
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`
}
