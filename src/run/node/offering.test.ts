// Which servers a gate is told of, and how they are.
import { expect, test } from 'vitest'
import type { Container } from '../runtime.ts'
import { serviceFile } from '../service/config.ts'
import type { Verdict } from './health.ts'
import { Offering } from './offering.ts'

const service = (fields: object) =>
  serviceFile.parse({
    name: 'notes',
    node: 'rift',
    gate: true,
    components: [
      { name: 'api', image: 'a/notes:v1', mcp: { url: 'http://127.0.0.1:9000/mcp', probe: { tool: 'list' } } },
      { name: 'db', image: 'a/db:v1' },
    ],
    ...fields,
  })
const image = { reference: 'a/notes:v1', digest: 'sha256:1' }
const running: Container = { id: 'c', name: 'notes-api', state: 'running', image, labels: {}, restarts: 0 }

function offers(fields: object, current: Container | undefined, verdict?: Verdict) {
  const offering = new Offering({ verdict: () => verdict })
  const one = service(fields)
  const components = one.components.map((component) => ({
    place: { service: one.name, component: component.name },
    component,
    current: component.name === 'api' ? current : undefined,
    others: [],
    drifts: [],
  }))
  offering.take({ desired: [{ service: one, digests: {}, discarded: new Set() }], components })
  return offering.list()
}

test('a component that speaks MCP, of a service that asks for it, with its health', () => {
  expect(offers({}, running, { health: 'healthy', reason: '' })).toMatchObject([
    { id: 'notes-api', transport: 'http', address: 'http://127.0.0.1:9000/mcp', health: 'ok', probe: 'handshake, and a call of list' },
  ])
  expect(offers({}, running)[0]).toMatchObject({ health: 'unknown' })
  expect(offers({}, running, { health: 'unhealthy', reason: 'no answer' })[0]).toMatchObject({ health: 'failing', reason: 'no answer' })
  expect(offers({}, { ...running, state: 'exited' })[0]).toMatchObject({ health: 'failing', reason: 'it does not run' })
})

test('nothing of a service that is stopped, or that does not ask for it; another image is another server', () => {
  expect(offers({ gate: false }, running)).toEqual([])
  expect(offers({ active: false }, running)).toEqual([])
  const [before] = offers({}, running)
  const [after] = offers({}, { ...running, image: { ...image, digest: 'sha256:2' } })
  expect(after!.digest).not.toBe(before!.digest)
})
