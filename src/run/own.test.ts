// What is the node's own is no service's, by whatever way a definition leads there.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { later } from '../../test/kit/cleanup.ts'
import { refuseOwn } from './own.ts'
import { serviceFile } from './service/config.ts'

let root: string
let services: string
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'own-')))
  later(() => rmSync(root, { recursive: true }))
  services = join(root, 'srv')
  for (const folder of ['srv/mcp/certs', 'srv/web', 'run/podman']) mkdirSync(join(root, folder), { recursive: true })
})

const refused = (component: object): unknown => {
  const own = { folders: [join(root, 'srv/mcp'), join(root, 'run/podman')], services, ports: [9444], leastPort: 1_024 }
  const service = serviceFile.parse({ name: 'web', node: 'rift', components: [{ name: 'api', image: 'web:v1', ...component }] })
  try {
    refuseOwn(service, own)
    return undefined
  } catch (error) {
    return error
  }
}
test('a port that its user may not take is refused with what to do', () => {
  expect(refused({ ports: ['443:8443'] })).toMatchObject({ code: 'run.low_port', message: expect.stringContaining('the port 443') })
  expect(refused({ ports: ['1024:80'] })).toBe(undefined)
})

const volume = (source: string): unknown => refused({ volumes: [`${join(root, source)}:/data:ro`] })

test.each(['srv/mcp', 'srv/mcp/certs', 'srv/mcp/tokens.json', 'srv', 'run', 'run/podman/podman.sock', 'srv/web/link', 'srv/web/up/mcp'])(
  'no volume: %s',
  (source) => {
    symlinkSync(join(root, 'srv/mcp'), join(root, 'srv/web/link'))
    symlinkSync('..', join(root, 'srv/web/up'))
    expect(volume(source)).toMatchObject({
      code: 'run.own_volume',
      message: expect.stringContaining(`web/api wants the volume ${join(root, source)}`) as string,
      hint: expect.stringContaining('/srv/<service>') as string,
    })
  },
)

test.each(['srv/web', 'srv/web/not/there/yet', 'srv/mcpx', 'run/other'])('a volume: %s', (source) => {
  expect(volume(source)).toBeUndefined()
})

test('a service whose folder is a link to that of the agent', () => {
  symlinkSync('mcp', join(root, 'srv/mail'))
  expect(volume('srv/mail')).toMatchObject({ code: 'run.own_volume' })
})

test('what the agent may not look into might lead anywhere', () => {
  symlinkSync('circle', join(root, 'srv/web/circle'))
  symlinkSync(join(root, 'srv/mcp/not-yet'), join(root, 'srv/web/not-yet'))
  expect(volume('srv/web/not-yet')).toMatchObject({ code: 'run.hidden_path' })
  expect(volume('srv/web/circle/x')).toMatchObject({ code: 'run.hidden_path', message: expect.stringContaining('web/api names') as string })
})

test('the data of services may lie in the folder of the agent: nothing else in it is theirs', () => {
  mkdirSync(join(root, 'srv/mcp/srv/web'), { recursive: true })
  services = join(root, 'srv/mcp/srv')
  expect(volume('srv/mcp/srv/web')).toBeUndefined()
  for (const own of ['srv/mcp/srv', 'srv/mcp/certs']) expect(volume(own)).toMatchObject({ code: 'run.own_volume' })
})

test('no port at which the node listens, nor a way to it', () => {
  expect(refused({ ports: ['127.0.0.1:9444:80'] })).toMatchObject({
    code: 'run.own_port',
    message: "web/api wants the port 9444, which is the agent's own",
  })
  expect(refused({ network: 'host', routes: [{ port: 9444, hostname: 'a.example' }] })).toMatchObject({ code: 'run.own_port' })
  expect(refused({ ports: ['9445:9444', '9444:9444/udp'] })).toBeUndefined()
})
