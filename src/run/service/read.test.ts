// A service file is wholly understood or refused with file, line and key; and `active` is written without touching anything else.
import { expect, test } from 'vitest'
import { readService } from './read.ts'

const good = `name = "web"
node = "rift"
[[components]]
name = "api"
image = "reg:5000/web:v1.2"
ports = ["127.0.0.1:18443:8443", "[::1]:53:53/udp", "80:80"]
volumes = ["/srv/web:/data", "cache:/cache:ro"]
restart = "on-failure:5"
env = ["A=1=2"]
memory = "512MiB"
[components.health]
http = "http://127.0.0.1:18443/health"
`

test('what a file says is what is known', async () => {
  const service = await readService(good, 'web.toml', 'web')
  expect(service).toMatchObject({ active: true, on_drift: 'restart', gate: false })
  expect(service.components[0]).toMatchObject({
    ports: [
      { address: '127.0.0.1', hostPort: 18443, containerPort: 8443, protocol: 'tcp' },
      { address: '::1', hostPort: 53, containerPort: 53, protocol: 'udp' },
      { address: '127.0.0.1', hostPort: 80, containerPort: 80, protocol: 'tcp' },
    ],
    volumes: [
      { source: '/srv/web', target: '/data', isReadOnly: false },
      { source: 'cache', target: '/cache', isReadOnly: true },
    ],
    restart: { policy: 'on-failure', most: 5 },
    memory: 512 << 20,
  })
})

test.each([
  ['image = "reg:5000/web:v1.2"', 'image = "web"', 'web.toml:5', 'needs a tag or a digest'],
  ['image = "reg:5000/web:v1.2"', 'image = "web:latest"', 'web.toml:5', 'latest does not'],
  ['name = "api"', 'name = "../x"', 'web.toml:4', 'must be of a-z'],
  ['name = "web"', 'name = "Web"', 'web.toml:1', 'must be of a-z'],
  ['"80:80"', '"80"', 'web.toml:6', 'must be such as 8080:80'],
  ['"80:80"', '"0:80"', 'web.toml:6', 'must be such as 8080:80'],
  ['"80:80"', '"18443:1"', 'web.toml:6', 'uses a port twice'],
  ['"/srv/web:/data"', '"/srv/../etc:/data"', 'web.toml:7', 'without ..'],
  ['"/srv/web:/data"', '"/srv/web:data"', 'web.toml:7', 'must be such as'],
  ['restart = "on-failure:5"', 'restart = "sometimes"', 'web.toml:8', 'must be no, always'],
  ['env = ["A=1=2"]', 'env = ["A=1", "A=2"]', 'web.toml:9', 'names a variable twice'],
  ['env = ["A=1=2"]', 'env = ["1A"]', 'web.toml:9', 'must be such as NAME=value'],
  ['memory = "512MiB"', 'memroy = "512MiB"', 'web.toml:10', 'memory'],
  ['http = ', 'url = ', 'web.toml:12', 'url'],
  ['node = "rift"', 'node = "rift"\nschema = 2', 'web.toml:3', 'schema'],
  ['node = "rift"', 'node = rift', 'web.toml:2', ''],
])('refused: %s → %s', async (before, after, where, why) => {
  const message = await readService(good.replace(before, after), 'web.toml').then(
    () => 'taken',
    (error: Error) => error.message,
  )
  expect(message).toContain(where)
  expect(message).toContain(why)
})

test('a file that is called after another service is refused', async () => {
  await expect(readService(good, 'other.toml', 'other')).rejects.toMatchObject({ code: 'run.other_name' })
})
