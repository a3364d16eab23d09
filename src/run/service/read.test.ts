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
  // what an attacker would try: names that are other names
  ['name = "web"', 'name = "web\\n"', 'web.toml:1', 'must be of a-z'],
  ['name = "web"', 'name = "w\u0435b"', 'web.toml:1', 'must be of a-z'], // a Cyrillic letter
  ['name = "web"', 'name = "web\u200b"', 'web.toml:1', 'must be of a-z'],
  ['name = "web"', `name = "${'w'.repeat(64)}"`, 'web.toml:1', 'must be of a-z'],
  ['name = "api"', 'name = "-rf"', 'web.toml:4', 'must be of a-z'],
  ['name = "api"', 'name = "api/../../mcp"', 'web.toml:4', 'must be of a-z'],
  ['name = "api"', 'name = "__proto__"', 'web.toml:4', 'must be of a-z'],
  ['node = "rift"', 'node = "rift"\n__proto__ = { x = 1 }', 'web.toml:3', '__proto__'],
  // images that are options, files of the machine, or of no registry
  ['image = "reg:5000/web:v1.2"', 'image = "--privileged:v1"', 'web.toml:5', 'must be an image'],
  ['image = "reg:5000/web:v1.2"', 'image = "docker-archive:/srv/mcp/x.tar:v1"', 'web.toml:5', 'must be an image'],
  ['image = "reg:5000/web:v1.2"', 'image = "docker://reg/web:v1"', 'web.toml:5', 'must be an image'],
  ['image = "reg:5000/web:v1.2"', 'image = "oci:/srv/mcp:v1"', 'web.toml:5', 'must be an image'],
  ['image = "reg:5000/web:v1.2"', 'image = "reg/../web:v1"', 'web.toml:5', 'must be an image'],
  ['image = "reg:5000/web:v1.2"', 'image = "reg:5000/web:v1\\n"', 'web.toml:5', 'may not hold control characters'],
  ['image = "reg:5000/web:v1.2"', 'image = "reg:5000/web:v1@sha256:00"', 'web.toml:5', 'must be an image'],
  // the machine instead of a folder of it
  ['"/srv/web:/data"', '"/:/data"', 'web.toml:7', '/ is the machine itself'],
  ['"/srv/web:/data"', '"/.:/data"', 'web.toml:7', 'without ..'],
  ['"/srv/web:/data"', '"//:/data"', 'web.toml:7', 'without ..'],
  ['"/srv/web:/data"', '"/proc/1/root:/data"', 'web.toml:7', '/proc/1/root is the machine itself'],
  ['"/srv/web:/data"', '"/sys/fs/cgroup:/data"', 'web.toml:7', 'is the machine itself'],
  ['"/srv/web:/data"', '"/dev/sda:/dev/sda"', 'web.toml:7', '/dev/sda is the machine itself'],
  ['"/srv/web:/data"', '"/srv/web:/data:ro,suid,dev"', 'web.toml:7', 'must be such as'],
  ['"/srv/web:/data"', '"/srv/web:/"', 'web.toml:7', 'nothing can be put at /'],
  ['"/srv/web:/data"', '"/srv/web:/proc"', 'web.toml:7', 'nothing can be put at /proc'],
  ['"/srv/web:/data"', '"/srv/web:/data/../proc"', 'web.toml:7', 'without ..'],
  ['"/srv/web:/data"', '"/srv/web:/data", "/srv/other:/data"', 'web.toml:7', 'two things at one place'],
  ['"/srv/web:/data"', '"--volume:/data"', 'web.toml:7', 'must be such as'],
  // namespaces and users of others, ports that are none
  ['memory = ', 'network = "container:mcp"\nmemory = ', 'web.toml:10', 'must be the name of a network'],
  ['memory = ', 'network = "ns:/proc/1/ns/net"\nmemory = ', 'web.toml:10', 'must be the name of a network'],
  ['memory = ', 'user = "root:0 --privileged"\nmemory = ', 'web.toml:10', 'must be a user'],
  ['memory = ', 'privileged = true\nmemory = ', 'web.toml:10', 'unknown key'],
  ['memory = ', 'devices = ["/dev/sda"]\nmemory = ', 'web.toml:10', 'unknown key'],
  ['memory = ', 'pid = "host"\nmemory = ', 'web.toml:10', 'unknown key'],
  ['"80:80"', '"999.1.1.1:80:80"', 'web.toml:6', 'must be such as 8080:80'],
  ['"80:80"', '"70000:80"', 'web.toml:6', 'must be such as 8080:80'],
  ['"80:80"', '"80-90:80-90"', 'web.toml:6', 'must be such as 8080:80'],
  // the agent's own variables, and files
  ['env = ["A=1=2"]', 'env = ["METACRYPT_TOKEN"]', 'web.toml:9', 'must be such as NAME=value'],
  ['env = ["A=1=2"]', 'env = ["*="]', 'web.toml:9', 'must be such as NAME=value'],
  ['env = ["A=1=2"]', 'env = ["A=1\\nB=2"]', 'web.toml:9', 'may not hold control characters'],
  ['[components.health]\n', '[components.health]\ncommand = ["a\\u0000b"]\n', 'web.toml:12', 'may not hold NUL'],
  ['http = "http://127.0.0.1:18443/health"', 'http = "file:///srv/mcp/tokens.json"', 'web.toml:12', 'http'],
  [
    'http = "http://127.0.0.1:18443/health"',
    '[components.seal]\ncheck = "https://rift/"\nunseal = "https://rift/"\nca = "../mcp/certs/ca.pem"',
    'web.toml:15',
    'must be an absolute path',
  ],
  [
    'http = "http://127.0.0.1:18443/health"',
    '[[components.routes]]\nport = 5432\nhostname = "db.example"',
    'web.toml:12',
    'leads to a port that is not in ports',
  ],
])('refused: %s → %s', async (before, after, where, why) => {
  const message = await readService(good.replace(before, after), 'web.toml').then(
    () => 'taken',
    (error: Error) => error.message,
  )
  expect(message).toContain(where)
  expect(message).toContain(why)
})

test('a file that is longer than any definition is refused before it is read; aliases of YAML do not multiply', async () => {
  await expect(readService(`${good}#${' '.repeat(256 << 10)}`, 'web.toml')).rejects.toMatchObject({ code: 'run.too_long', kind: 'config' })
  const bomb = [
    'a: &a [x]',
    ...'bcdefghi'.split('').map((name, at) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[at]}`).join(', ')}]`),
  ]
  await expect(readService(bomb.join('\n'), 'web.yaml')).rejects.toMatchObject({ code: 'config.invalid' })
})

test.each(['web:v1', 'localhost/busybox:1', '127.0.0.1:5000/a/b_c/d--e:V1.2_x', `registry.example.org/x.y/z@sha256:${'a'.repeat(64)}`])(
  'an image: %s',
  async (image) => {
    expect((await readService(good.replace('reg:5000/web:v1.2', image), 'web.toml')).components[0]!.image).toBe(image)
  },
)

test('a file that is called after another service is refused', async () => {
  await expect(readService(good, 'other.toml', 'other')).rejects.toMatchObject({ code: 'run.other_name' })
})
