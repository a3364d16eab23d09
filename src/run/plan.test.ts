// The algebra of desired and observed: what a plan does leaves no drift, a second plan does nothing, and nobody else's container is touched.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createTestClock } from '../../test/kit/clock.ts'
import { containerName, labelsOf, oursIn, specOf } from './container.ts'
import { type Desired, byPlace, driftOf, unmanaged } from './drift.ts'
import { memoryRuntime } from './memory/runtime.ts'
import { World } from './memory/world.ts'
import { type Mend, planMend, planUpdate } from './plan.ts'
import type { Runtime } from './runtime.ts'
import { type Component, type Service, serviceFile } from './service/config.ts'

const service = (fields: object = {}, component: object = {}): Service =>
  serviceFile.parse({ name: 'web', node: 'rift', components: [{ name: 'web', image: 'reg:5000/web:v1', ...component }], ...fields })

const components = fc.record({
  image: fc.constantFrom('reg:5000/web:v1', 'reg:5000/web:v2'),
  ports: fc.constantFrom([], ['8080:80'], ['8080:80', '9090:90']),
  env: fc.constantFrom([], ['A=1'], ['A=2', 'B=3']),
  memory: fc.constantFrom(undefined, '64MiB', '1GiB'),
  cmd: fc.constantFrom([], ['serve']),
})

async function open(): Promise<{ world: World; runtime: Runtime }> {
  const world = new World({ clock: createTestClock() })
  for (const image of ['reg:5000/web:v1', 'reg:5000/web:v2', 'reg:5000/other:v1']) world.load(image)
  return { world, runtime: memoryRuntime({ world }) }
}

/** As the node carries a plan out, when nothing goes wrong. */
async function update(runtime: Runtime, component: Component, deployment: string): Promise<string> {
  const place = { service: 'web', component: component.name }
  const image = (await runtime.resolve(component.image))!
  const plan = planUpdate({ place, component, image, deployment }, await runtime.list())
  const next = async () => (await runtime.list()).find((one) => oursIn(one)?.deployment === deployment)!.id
  for (const step of plan.steps) {
    if (step.do === 'create-next') await runtime.create(specOf(place, component, image, deployment))
    else if (step.do === 'start-next') await runtime.start(await next())
    else if (step.do === 'stop-before') for (const id of step.ids) await runtime.stop(id, 0)
    else if (step.do === 'remove-before') for (const id of step.ids) await runtime.remove(id)
    else if (step.do === 'name-next') await runtime.rename(await next(), step.name)
  }
  return plan.way
}

const desiredOf = (wanted: Service): Desired => ({ service: wanted, digests: {}, discarded: new Set() })

test('whatever runs and whatever is wanted: after the plan there is no drift, and one container; the next plan does nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(components, { minLength: 1, maxLength: 5 }), async (versions) => {
      const { runtime } = await open()
      for (const [at, fields] of versions.entries()) {
        const wanted = service({}, fields)
        const [component] = wanted.components
        await update(runtime, component!, `d${at}`)
        const observed = await runtime.list()
        expect(driftOf(desiredOf(wanted), byPlace(observed), new Map())[0]!.drifts).toEqual([])
        expect(observed.map(({ name }) => name)).toEqual(['web'])
        expect(await update(runtime, component!, 'again')).toBe('nothing')
      }
    }),
    { numRuns: 60 },
  )
})

test('a container of somebody else is never named in a plan, and is told as unmanaged', async () => {
  const { runtime } = await open()
  const wanted = service()
  const other = (await runtime.resolve('reg:5000/other:v1'))!
  const strange = specOf({ service: 'other', component: 'other' }, wanted.components[0]!, other, 'x')
  await runtime.create({ ...strange, name: 'theirs', labels: {} })
  await runtime.create({ ...strange, name: 'ours-but-undefined' })
  const observed = await runtime.list()
  const plan = planUpdate(
    { place: { service: 'web', component: 'web' }, component: wanted.components[0]!, image: other, deployment: 'd' },
    observed,
  )
  expect(JSON.stringify(plan)).not.toContain(observed[0]!.id)
  expect(unmanaged([desiredOf(wanted)], observed).map(({ container }) => container.name)).toEqual(['theirs', 'ours-but-undefined'])
  expect(driftOf(desiredOf(wanted), byPlace(observed), new Map())[0]!.drifts.map(({ cause }) => cause)).toEqual(['missing'])
})

test('of variables that differ the names are told, and no value, on either side', async () => {
  const { runtime } = await open()
  await update(runtime, service({}, { env: ['KEY=old-secret', 'SAME=same-secret'] }).components[0]!, 'd1')
  const wanted = service({}, { env: ['KEY=new-secret', 'SAME=same-secret', 'MORE=more-secret'] })
  const observed = await runtime.list()
  const { drifts } = driftOf(desiredOf(wanted), byPlace(observed), new Map())[0]!
  const [desired, found] = ['["KEY=…","SAME","MORE=…"]', '["KEY=…","SAME"]']
  expect(drifts).toEqual([{ cause: 'config-changed', field: 'env', desired, observed: found }])
  const image = (await runtime.resolve('reg:5000/web:v1'))!
  const plan = planUpdate(
    { place: { service: 'web', component: 'web' }, component: wanted.components[0]!, image, deployment: 'd2' },
    observed,
  )
  expect(plan.changes).toEqual([{ field: 'env', from: found, to: desired }])
})

test('what the node does by itself, by what is wrong and by policy', async () => {
  const { world, runtime } = await open()
  const mends = async (
    wanted: Service,
    ills: ReadonlyMap<string, string> = new Map(),
    discarded: readonly string[] = [],
  ): Promise<string[]> => {
    const [drift] = driftOf({ ...desiredOf(wanted), discarded: new Set(discarded) }, byPlace(await runtime.list()), ills)
    return planMend(wanted, drift!).map((mend: Mend) => mend.do)
  }
  const wanted = service()
  expect(await mends(wanted)).toEqual(['create'])
  await update(runtime, wanted.components[0]!, 'd1')
  const id = (await runtime.list())[0]!.id
  expect(await mends(wanted)).toEqual([])
  expect(await mends(wanted, new Map([[id, 'no answer']]))).toEqual(['restart'])
  expect(await mends(service({ active: false }))).toEqual(['stop'])
  expect(await mends(service({}, { env: ['A=1'] }))).toEqual([]) // waits for a deployment
  expect(await mends(service({ on_drift: 'redeploy' }, { env: ['A=1'] }))).toEqual(['deploy'])
  await runtime.rename(id, 'misnamed')
  expect(await mends(wanted)).toEqual(['rename'])
  await runtime.rename(id, 'web')
  world.orphan(id)
  expect(await mends(wanted)).toEqual(['remove', 'create'])
  expect(await mends(service({ on_drift: 'alert' }))).toEqual([])
  await runtime.remove(id)
  await update(runtime, wanted.components[0]!, 'd2')
  const image = (await runtime.resolve('reg:5000/web:v1'))!
  await runtime.create(specOf({ service: 'web', component: 'web' }, wanted.components[0]!, image, 'late'))
  expect(await mends(wanted, new Map(), ['late'])).toEqual(['remove'])
  await runtime.stop((await runtime.list())[0]!.id, 0)
  expect(await mends(wanted, new Map(), ['late'])).toEqual(['remove', 'start'])
})

test('beside where both can run at once, in place where they would want the same', () => {
  const way = (component: object, before?: object): string => {
    const [made] = service({}, component).components
    const place = { service: 'web', component: 'web' }
    const image = { reference: 'reg:5000/web:v1', digest: 'sha256:b' }
    const running = {
      id: 'a',
      name: 'web',
      state: 'running' as const,
      restarts: 0,
      image: { ...image, digest: 'sha256:a' },
      labels: before ? specOf(place, service({}, before).components[0]!, image, 'd1').labels : labelsOf(place, 'd1'),
    }
    return planUpdate({ place, component: made!, image, deployment: 'd2' }, [running]).way
  }
  expect(way({})).toBe('beside')
  expect(way({ ports: ['80:80'] })).toBe('in-place') // the labels of the one that runs do not tell which it has
  expect(way({ ports: ['80:80'] }, { ports: ['0.0.0.0:80:8080'] })).toBe('in-place')
  expect(way({ ports: ['81:80'] }, { ports: ['80:80', '82:82'] })).toBe('beside')
  expect(way({ ports: ['80:80'] }, { ports: ['80:80/udp'] })).toBe('beside')
  expect(way({ volumes: ['/srv/web:/data'] })).toBe('in-place')
  expect(way({ volumes: ['/srv/web:/data:ro'] })).toBe('beside')
  expect(way({ network: 'host' })).toBe('in-place')
  expect(way({ ports: ['80:80'], update: 'beside' })).toBe('beside')
})

test('names: a component called like its service bears its name alone', () => {
  expect(containerName({ service: 'mc', component: 'proxy' })).toBe('mc-proxy')
  expect(containerName({ service: 'mc-proxy', component: 'mc-proxy' })).toBe('mc-proxy')
})
