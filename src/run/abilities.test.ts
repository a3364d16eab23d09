// What a definition asks of a runtime, told before anything is touched, by the same rules as the runtime's own.
import { expect, test } from 'vitest'
import { missingAbilities } from './abilities.ts'
import type { RuntimeAbility } from './runtime.ts'
import { type Component, serviceFile } from './service/config.ts'

const plain = { can: new Set<RuntimeAbility>(['exec', 'stdio']) }
const component = (fields: object): Component =>
  serviceFile.parse({ name: 'web', node: 'rift', components: [{ name: 'web', image: 'web:v1', ...fields }] }).components[0]!

test.each<[object, RuntimeAbility[]]>([
  [{}, []],
  [{ volumes: ['/srv/web:/srv/web'], ports: ['8080:8080'], network: 'host' }, []], // as the machine has them anyway
  [{ volumes: ['/srv/web:/data'] }, ['volumes']],
  [{ ports: ['8080:80'] }, ['port-mapping']],
  [{ network: 'inner', user: '1000', memory: '64MiB' }, ['networks', 'users', 'memory-limits']],
  [{ health: { container: true } }, ['health-checks']],
  [{ health: { command: ['true'] } }, []],
])('of plain processes %j lacks %j', (fields, lacks) => {
  expect(missingAbilities(plain, component(fields))).toEqual(lacks)
})
