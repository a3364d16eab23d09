// Which route a name is, when several want it.
import { expect, test } from 'vitest'
import { readService } from '../service/read.ts'
import { routesOf } from './routing.ts'

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
