// The official conformance suite, differential: whatever it says of a server directly, it must say of the same server through the gate.
import { mkdtemp, rm } from 'node:fs/promises'
import { type IncomingHttpHeaders, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type GateUpstream, startGate } from '../kit/gate.ts'
import { type Fixture, fixtureCommand, startFixture } from '../kit/fixture/process.ts'
import { type Difference, type Result, type Revision, compare, runConformance } from './conformance.ts'

const revisions: readonly Revision[] = ['2025-11-25', '2026-07-28']

/**
 * Where a stdio upstream cannot look like the direct HTTP run. All else must be the same, and even these must not fail unless `mayFail`:
 * Host and Origin, sessions, DELETE, version and standard headers are answered by the gate, so they are not excused.
 */
const dependsOnTransport: readonly { revision: Revision; scenario: string; check?: string; mayFail?: true; reason: string }[] = [
  {
    revision: '2025-11-25',
    scenario: 'server-sse-polling',
    reason: 'the tool cuts its own HTTP stream in mid-call; a server on stdio has no stream to cut',
  },
  {
    revision: '2025-11-25',
    scenario: 'server-sse-multiple-streams',
    check: 'server-sse-streams-functional',
    reason: 'whether an answer comes as one JSON body or as a stream is the choice of who speaks HTTP: here the gate',
  },
  {
    revision: '2026-07-28',
    scenario: 'server-sse-multiple-streams',
    check: 'server-sse-streams-functional',
    reason: 'whether an answer comes as one JSON body or as a stream is the choice of who speaks HTTP: here the gate',
  },
  {
    revision: '2026-07-28',
    scenario: 'http-custom-header-server-validation',
    mayFail: true,
    reason: 'stdio has no headers: only a server that speaks HTTP itself compares Mcp-Param-* with its own tool schemas (unscored)',
  },
]

function isExcused(revision: Revision, { scenario, check, through }: Difference): boolean {
  return dependsOnTransport.some(
    (entry) =>
      entry.revision === revision &&
      entry.scenario === scenario &&
      (entry.check === undefined || entry.check === check) &&
      (entry.mayFail || through !== 'FAILURE'),
  )
}

/**
 * What the gate itself answers where this server, which makes no tasks, does not: an id that it was never given for this principal is no task of theirs, so nobody
 * learns of another's by trying (CVE-2026-111767). Better than the direct verdict, or it is a difference like any other.
 */
const isHeldByTheGate = ({ scenario, check, direct, through }: Difference): boolean =>
  scenario === 'tasks-dispatch-and-envelope' &&
  check === 'sep-2663-tasks-get-invalid-task-id-32602' &&
  direct === 'FAILURE' &&
  through === 'SUCCESS'

/** What a middle man may do to the headers of a request and of its answer. */
type Meddle = { readonly request?: (headers: IncomingHttpHeaders) => void; readonly response?: (headers: IncomingHttpHeaders) => void }

/** Passes bytes between a client and `target` as they come; the Host of the client goes along, and either side's end is the other's. */
async function startProxy(target: string, meddle: Meddle = {}): Promise<{ url: string; stop(): void }> {
  const { port, pathname } = new URL(target)
  const server = createServer((req, res) => {
    const headers = { ...req.headers }
    if (headers.host === new URL(url).host) headers.host = new URL(target).host
    meddle.request?.(headers)
    const onward = request({ host: '127.0.0.1', port, path: pathname, method: req.method, headers, agent: false }, (back) => {
      meddle.response?.(back.headers)
      res.writeHead(back.statusCode!, back.headers)
      res.flushHeaders()
      back.pipe(res)
    })
    onward.on('error', () => res.destroy())
    res.on('close', () => onward.destroy())
    req.pipe(onward)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`
  return { url, stop: () => server.close().closeAllConnections() }
}

let folder: string
let fixture: Fixture
const direct = new Map<Revision, Result>()
let runs = 0
const run = (url: string, requirements: Revision): Promise<Result> =>
  runConformance({ url, requirements, outDir: join(folder, String(++runs)) })

async function compareThroughProxy(revision: Revision, meddle?: Meddle): Promise<Difference[]> {
  const proxy = await startProxy(fixture.url, meddle)
  try {
    return compare(direct.get(revision)!, await run(proxy.url, revision))
  } finally {
    proxy.stop()
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fairlead-conformance-'))
  fixture = await startFixture()
  for (const revision of revisions) direct.set(revision, await run(fixture.url, revision))
})

afterAll(async () => {
  await fixture?.stop()
  if (folder) await rm(folder, { recursive: true, force: true })
})

describe('the direct run', () => {
  test('2025-11-25: nothing fails', () => {
    expect(direct.get('2025-11-25')).toMatchObject({ passed: 84, failed: 0 })
  })
  test('2026-07-28: nothing fails but the tasks extension, which the fixture does not have', () => {
    const { rows, passed } = direct.get('2026-07-28')!
    expect(passed).toBe(164)
    expect(rows.filter((row) => row.status === 'FAILURE' && !row.scenario.startsWith('tasks-'))).toEqual([])
  })
  test('every excuse names something that exists', () => {
    for (const { revision, scenario, check } of dependsOnTransport)
      expect(direct.get(revision)!.rows.some((row) => row.scenario === scenario && (check === undefined || row.check === check))).toBe(true)
  })
})

describe('the comparison itself', () => {
  test.each(revisions)('%s: a byte-exact middle man changes nothing', async (revision) => {
    expect(await compareThroughProxy(revision)).toEqual([])
  })
  test('a middle man that drops Mcp-Method is caught', async () => {
    const differences = await compareThroughProxy('2026-07-28', { request: (headers) => delete headers['mcp-method'] })
    expect(new Set(differences.map((difference) => difference.scenario)).size).toBeGreaterThan(30)
  })
  test('a middle man that strips the session id is caught', async () => {
    const differences = await compareThroughProxy('2025-11-25', { response: (headers) => delete headers['mcp-session-id'] })
    expect(differences.map((difference) => difference.scenario)).toContain('ping')
  })
  test('a run that lost a scenario is caught', () => {
    const whole = direct.get('2025-11-25')!
    const less = { ...whole, rows: whole.rows.filter((row) => row.scenario !== 'ping') }
    expect(compare(whole, less).map(({ scenario, through }) => [scenario, through])).toEqual([
      ['ping', undefined],
      ['ping', undefined],
    ])
  })
})

describe('through the gate', () => {
  const compareThroughGate = async (revision: Revision, upstream: GateUpstream): Promise<Difference[]> => {
    const gate = await startGate({ upstreams: { fixture: upstream } })
    try {
      return compare(direct.get(revision)!, await run(gate.url('fixture'), revision))
    } finally {
      await gate.stop()
    }
  }
  // A second try, because one scenario gives up after half a second of silence; what is wrong stays wrong.
  test.each(revisions)('%s, upstream over HTTP: the same verdicts', { retry: 1 }, async (revision) => {
    const differences = await compareThroughGate(revision, { url: fixture.url })
    expect(differences.filter((difference) => !isHeldByTheGate(difference))).toEqual([])
  })
  test.each(revisions)('%s, upstream on stdio: the same verdicts, save where the transport decides', { retry: 1 }, async (revision) => {
    const differences = await compareThroughGate(revision, { command: fixtureCommand })
    expect(differences.filter((difference) => !isExcused(revision, difference) && !isHeldByTheGate(difference))).toEqual([])
  })
})
