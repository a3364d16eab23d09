// Which route a name is, when several want it.
import { expect, test } from 'vitest'
import { readService } from '../service/read.ts'
import { specOf } from '../container.ts'
import type { Container } from '../runtime.ts'
import { routesOf, served } from './routing.ts'

const service = (name: string, port: number, more = '') =>
  readService(
    `name = "${name}"\nnode = "rift"\n${more}[[components]]\nname = "${name}"\nimage = "r/a:v1"\nnetwork = "host"\n[[components.routes]]\nport = ${port}\nhostname = "Web.example"\n`,
    'a.toml',
  )

test('the first by service at first, then whoever has it; a service that is stopped wants none', async () => {
  const [a, b, stopped] = await Promise.all([service('a', 1), service('b', 2), service('a', 1, 'active = false\n')])
  const first = routesOf([b])
  expect([...first.routes.values()]).toEqual([{ service: 'b', name: 'web.example', port: 2, mode: 'l4' }])
  const both = routesOf([a, b], first.routes)
  expect(both.routes.get('web.example')).toMatchObject({ service: 'b' })
  expect(both.refused).toMatchObject([{ service: 'a', name: 'web.example' }])
  expect(routesOf([a, b]).routes.get('web.example')).toMatchObject({ service: 'a' })
  expect(routesOf([stopped, b]).refused).toEqual([])
})

test('a name leads to what serves: to the port of the next one when that counts, and never when it went back', async () => {
  const [before, after] = await Promise.all([
    service('a', 1),
    service('a', 2).then((one) => ({ ...one, components: one.components.map((component) => ({ ...component, image: 'r/a:v2' })) })),
  ])
  const container = (of: typeof before, id: string, state: Container['state'] = 'running'): Container => {
    const image = { reference: of.components[0]!.image, digest: `sha256:${id}` }
    const { labels } = specOf({ service: 'a', component: 'a' }, of.components[0]!, image, id)
    return { id, name: id, state, image, labels, restarts: 0 }
  }
  const ports = (observed: readonly Container[], deployment: string | undefined): readonly number[] =>
    served([after], observed, () => (deployment === undefined ? undefined : { deployment })).flatMap(({ components }) =>
      components.flatMap(({ routes }) => routes.map(({ port }) => port)),
    )
  const [first, next] = [container(before, 'one'), container(after, 'two')]
  expect(ports([first, next], 'one')).toEqual([1]) // both run, and the next one shows what it can
  expect(ports([container(before, 'one', 'exited'), next], 'one')).toEqual([1]) // in place
  expect(ports([first, next], 'two')).toEqual([2])
  expect(ports([first], 'one')).toEqual([1]) // it went back
  expect(ports([], undefined)).toEqual([2])
  expect(ports([{ ...first, labels: { ...first.labels, 'fairlead.routes': '{' } }], 'one')).toEqual([2]) // of an older agent
})
