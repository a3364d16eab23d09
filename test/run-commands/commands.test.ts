// `mcp` as a person uses it, against a real agent in which nothing really runs: what it prints, what it writes, and its exit codes.
import { chmodSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { later } from '../kit/cleanup.ts'
import { Bed } from './bed.ts'

const ok = { exitCode: 0 }

async function withNode() {
  const bed = new Bed()
  const agent = await bed.agent('rift')
  expect(await bed.mcp(['node', 'add', 'rift', `unix:${agent.socket}`])).toMatchObject(ok)
  return { bed, agent }
}

test('deploy, look, stop, start: the definition says what is wanted, with every other byte as it was', async () => {
  const { bed } = await withNode()
  const text = bed.define('web', 'rift')
  expect(await bed.mcp(['plan', 'web'])).toMatchObject({ ...ok, stdout: expect.stringContaining('container: none -> new') })
  expect((await bed.mcp(['ps', '--json'])).json).toMatchObject({ nodes: [{ node: 'rift', isHeard: true, containers: [] }] })
  expect(await bed.mcp(['deploy', 'web'])).toMatchObject({ ...ok, stdout: expect.stringMatching(/simulated.*\n {2}web: ok: v1/) })
  expect((await bed.mcp(['ps', '--json'])).json).toMatchObject({ nodes: [{ containers: [{ place: 'web/web', state: 'running' }] }] })
  expect(await bed.mcp(['status', 'web'])).toMatchObject({
    ...ok,
    stdout: expect.stringMatching(/rift +web +running +running .*\n[^]*no drift\n$/),
  })
  expect(bed.definition('web')).toBe(text)

  expect(await bed.mcp(['stop', 'web'])).toMatchObject({ ...ok, stdout: 'web is stopped on rift (simulated: nothing really runs)\n' })
  expect(bed.definition('web')).toBe(text.replace('node = "rift"\n', 'node = "rift"\nactive = false\n'))
  expect((await bed.mcp(['ps', '--json'])).json).toMatchObject({ nodes: [{ containers: [{ state: 'exited' }] }] })
  expect((await bed.mcp(['list', '--json'])).json).toMatchObject({ nodes: [{ services: [{ name: 'web', active: false }] }] })
  expect(await bed.mcp(['start', 'web'])).toMatchObject(ok)
  expect(bed.definition('web')).toBe(text.replace('node = "rift"\n', 'node = "rift"\nactive = true\n'))
  expect((await bed.mcp(['ps', '--json'])).json).toMatchObject({ nodes: [{ containers: [{ state: 'running' }] }] })
  const before = bed.definition('web')
  expect(await bed.mcp(['restart', 'web'])).toMatchObject({ ...ok, stdout: expect.stringContaining('restarted web') })
  expect(bed.definition('web')).toBe(before)
  expect(await bed.mcp(['restart', 'web/api'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('the service web has no component api'),
  })
  expect(await bed.mcp(['stop', 'web/web'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('only a whole service') })
  expect(await bed.mcp(['deploy', '../web'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('neither a service nor') })
})

test('a new image, the way back, and what was deployed', async () => {
  const { bed } = await withNode()
  bed.define('web', 'rift')
  expect(await bed.mcp(['deploy', 'web'])).toMatchObject(ok)
  bed.define('web', 'rift', 'reg:5000/web:v2')
  expect(await bed.mcp(['plan', 'web'])).toMatchObject({ stdout: expect.stringContaining('image: reg:5000/web:v1 -> reg:5000/web:v2') })
  expect(await bed.mcp(['deploy', 'web'])).toMatchObject({ ...ok, stdout: expect.stringContaining('web: ok: v2') })
  expect(await bed.mcp(['rollback', 'web'])).toMatchObject({ ...ok, stdout: expect.stringContaining('web: ok: v1') })
  const { deployments } = (await bed.mcp(['history', 'web', '--json'])).json as {
    deployments: { outcome: string; image: { reference: string } }[]
  }
  expect(deployments.map(({ image }) => image.reference)).toEqual(['reg:5000/web:v1', 'reg:5000/web:v2', 'reg:5000/web:v1'])
  const elsewhere = join(bed.root, 'other.toml')
  writeFileSync(elsewhere, bed.definition('web').replace('web:v2', 'web:v3'))
  expect(await bed.mcp(['deploy', 'web', '-f', elsewhere])).toMatchObject({ ...ok, stdout: expect.stringContaining('web: ok: v3') })
  expect(bed.definition('web')).toContain('web:v2')
  writeFileSync(elsewhere, bed.definition('web').replaceAll('"web"', '"mail"'))
  expect(await bed.mcp(['deploy', 'web', '-f', elsewhere])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('defines the service mail, not web'),
  })
})

test(
  'exit codes of status: 0 as it should be, 3 when something differs, 5 when a node is not there; nobody hangs',
  { timeout: 60_000 },
  async () => {
    const { bed, agent } = await withNode()
    bed.define('web', 'rift')
    expect(await bed.mcp(['deploy', 'web'])).toMatchObject(ok)
    expect(await bed.mcp(['status'])).toMatchObject(ok)
    bed.define('web', 'rift', 'reg:5000/web:v2')
    expect(await bed.mcp(['sync'])).toMatchObject({
      ...ok,
      stdout: expect.stringContaining('web.image: reg:5000/web:v1 -> reg:5000/web:v2'),
    })
    const drift = await bed.mcp(['status'])
    expect(drift).toMatchObject({
      exitCode: 3,
      stdout: expect.stringContaining('image-changed: image is reg:5000/web:v1, not reg:5000/web:v2'),
    })

    const hole = createServer(() => {}) // takes connections and says nothing
    await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve))
    later(() => hole.close())
    const { port } = hole.address() as { port: number }
    writeFileSync(join(bed.config, 'nodes/hole.pem'), 'nothing')
    writeFileSync(
      join(bed.config, 'mcp.toml'),
      `[[nodes]]\nname = "hole"\naddress = "127.0.0.1:${port}"\nca = "nodes/hole.pem"\n[[nodes]]\nname = "rift"\naddress = "unix:${agent.socket}"\n`,
    )
    writeFileSync(join(bed.config, 'nodes/hole.pem'), readFileSync('/etc/ssl/certs/ca-certificates.crt'))
    const from = performance.now()
    const silent = await Promise.all([['status'], ['ps'], ['list'], ['node', 'list']].map((words) => bed.mcp(words)))
    expect(performance.now() - from).toBeLessThan(6_000) // 3 s, on a machine that others load
    for (const [at, column] of ['web', 'v1', 'v2', 'unix:'].entries()) {
      expect(silent[at]).toMatchObject({ exitCode: 5, stdout: expect.stringMatching(/hole.* did not answer within 3 s; never heard/) })
      expect(silent[at]!.stdout).toContain(column)
    }
    agent.kill('SIGKILL')
    await agent.over
    const [gone, shown] = await Promise.all([bed.mcp(['status', '--json']), bed.mcp(['status'])])
    expect(gone.exitCode).toBe(5)
    expect(gone.json).toMatchObject({
      nodes: [
        { node: 'hole', isHeard: false, heardAt: null },
        { node: 'rift', isHeard: false, code: 'control.unreachable', heardAt: expect.any(Number) },
      ],
    })
    expect(shown.stdout).toMatch(/rift.*; last heard \d+ s ago/)
  },
)

test('a definition that is bad is told with file, line and key, and nothing is changed anywhere', async () => {
  const { bed } = await withNode()
  bed.define('good', 'rift')
  bed.define('bad', 'rift', 'reg:5000/web:latest', 'prots = ["80:80"]\n')
  const file = join(bed.services, 'bad.toml')
  for (const words of [
    ['sync'],
    ['sync', '--dry-run'],
    ['purge'],
    ['service', 'check', 'bad'],
    ['deploy', 'bad'],
    ['stop', 'bad'],
    ['service', 'check', file],
  ]) {
    const { exitCode, stderr } = await bed.mcp(words)
    expect([words, exitCode]).toEqual([words, 2])
    expect(stderr).toContain(`${file}:7 components[0].image: needs a tag that means one thing`)
    expect(stderr).toContain(`${file}:8 components[0].prots: unknown key; did you mean 'ports'?`)
    expect(stderr).toContain('mcp service check')
  }
  expect((await bed.mcp(['list', '--json'])).json).toMatchObject({ nodes: [{ services: [] }] })
  const all = await bed.mcp(['service', 'check'])
  expect(all).toMatchObject({ exitCode: 3, stdout: expect.stringContaining('2 definitions, 1 with problems') })
  bed.define('bad', 'nowhere')
  expect(await bed.mcp(['sync'])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('there is no node nowhere') })
  expect((await bed.mcp(['list', '--json'])).json).toMatchObject({ nodes: [{ services: [] }] })
  writeFileSync(join(bed.services, 'bad.toml'), 'name = "x')
  expect(await bed.mcp(['service', 'check', 'bad'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('bad.toml:1') })
})

test('a definition that asks for what is the agent’s own is refused by the node, by whatever way it comes, and nothing is changed', async () => {
  const { bed, agent } = await withNode()
  bed.define('good', 'rift')
  symlinkSync(agent.folder, join(bed.root, 'link'))
  for (const source of [agent.folder, agent.socket, bed.root, join(bed.root, 'link/tokens.json')]) {
    bed.define('bad', 'rift', 'reg:5000/web:v1', `volumes = ["${source}:/data:ro"]\n`)
    for (const words of [['deploy', 'bad'], ['sync'], ['adopt', 'bad']]) {
      const { exitCode, stderr } = await bed.mcp(words)
      expect([words, exitCode]).toEqual([words, 4])
      expect(stderr).toMatch(
        new RegExp(`bad/bad wants the volume ${source}, and .* is the agent's own.*\\n.*hint: name a folder of the service`),
      )
    }
  }
  expect((await bed.mcp(['list', '--json'])).json).toMatchObject({ nodes: [{ services: [] }] })
})

test('sync tells, purge forgets what is gone, undeploy takes away', async () => {
  const { bed } = await withNode()
  for (let n = 0; n < 3; n++) bed.define(`web${n}`, 'rift')
  expect(await bed.mcp(['sync', '--dry-run'])).toMatchObject({ ...ok, stdout: expect.stringContaining('3 definitions, 3 would change') })
  expect((await bed.mcp(['list', '--json'])).json).toMatchObject({ nodes: [{ services: [] }] })
  expect(await bed.mcp(['sync'])).toMatchObject({ ...ok, stdout: expect.stringContaining('3 definitions, 3 changed') })
  await vi.waitFor(async () => expect((await bed.mcp(['ps'])).stdout.match(/running/g)).toHaveLength(3), { timeout: 20_000 })
  for (const name of ['web1', 'web2']) writeFileSync(join(bed.services, `${name}.toml`), '')
  expect(await bed.mcp(['purge'])).toMatchObject({ exitCode: 2 }) // an empty file is no reason to forget
  for (const name of ['web1', 'web2']) rmSync(join(bed.services, `${name}.toml`))
  expect(await bed.mcp(['purge', 'web1'])).toMatchObject({
    exitCode: 1,
    stdout: expect.stringContaining('web1/web1  refused: its container is running'),
  })
  const undeploy = async () =>
    expect(await bed.mcp(['undeploy', 'web1'])).toMatchObject({ stderr: '', ...ok, stdout: expect.stringContaining('took away web1') })
  await vi.waitFor(undeploy, { timeout: 20_000 }) // while the node itself is at work there, it says so
  expect(await bed.mcp(['purge', 'web1', '--dry-run'])).toMatchObject({
    ...ok,
    stdout: expect.stringContaining('web1  would be forgotten'),
  })
  expect(await bed.mcp(['purge', 'web1'])).toMatchObject({ ...ok, stdout: expect.stringContaining('web1  forgotten') })
  expect((await bed.mcp(['list', '--json'])).json).toMatchObject({ nodes: [{ services: [{ name: 'web0' }, { name: 'web2' }] }] })
})

test('edit saves what is good and loses nothing; export takes over what the node has', async () => {
  const { bed } = await withNode()
  const text = bed.define('web', 'rift')
  const editor = (script: string): string => {
    const file = join(bed.root, 'editor with blanks.sh'.replaceAll(' ', '-'))
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o755)
    return file
  }
  const edit = (script: string, service = 'web') => bed.mcp(['service', 'edit', service], { env: { EDITOR: `${editor(script)} --wait` } })
  expect(await edit('sed -i s/:v1/:v2/ "$2"')).toMatchObject({ ...ok, stdout: expect.stringContaining('to run it: mcp deploy web') })
  expect(bed.definition('web')).toBe(text.replace(':v1', ':v2'))
  const draft = join(bed.services, '.web.draft.toml')
  expect(await edit('sed -i s/:v2/:latest/ "$2"')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining(`what you wrote is kept: ${draft}`),
  })
  expect(bed.definition('web')).toContain(':v2')
  expect(readFileSync(draft, 'utf8')).toContain(':latest')
  expect(await edit('sed -i s/:latest/:v3/ "$2"')).toMatchObject(ok) // goes on with what was kept
  expect(bed.definition('web')).toBe(text.replace(':v1', ':v3'))
  expect(existsSync(draft)).toBe(false)
  expect(await edit('exit 1')).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('ended with 1; nothing was changed') })
  expect(await edit('sed -i "s/^image = .*/image = \\"reg:5000\\/new:v1\\"/" "$2"', 'fresh')).toMatchObject(ok)
  expect(bed.definition('fresh')).toContain('node = "rift"')

  expect(await bed.mcp(['deploy', 'web'])).toMatchObject(ok)
  const known = bed.definition('web')
  expect(await bed.mcp(['service', 'show', 'web'])).toMatchObject({ ...ok, stdout: known })
  writeFileSync(join(bed.services, 'web.toml'), 'not = a definition')
  expect(await bed.mcp(['service', 'export', 'web'])).toMatchObject({ ...ok, stdout: expect.stringContaining('-not = a definition') })
  expect(bed.definition('web')).toBe(known)
  expect(await bed.mcp(['service', 'show', 'nothing'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('no node that knows it'),
  })
})

test('events are followed until one stops', async () => {
  const { bed } = await withNode()
  bed.define('web', 'rift')
  const following = await bed.start(['--as', 'mcp', 'events', '-f', '--json'])
  await vi.waitFor(
    async () => {
      expect(await bed.mcp(['deploy', 'web'])).toMatchObject(ok)
      expect(following.stdout()).toContain('"event":"deployed"')
    },
    { timeout: 20_000 },
  )
  following.kill('SIGINT')
  expect(await following.over).toMatchObject({ exitCode: 130, stderr: '' })
  const lines = following
    .stdout()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object)
  expect(lines).toContainEqual(expect.objectContaining({ node: 'rift', service: 'web', component: 'web', event: 'deployed' }))
})

test('the words of commands are completed', async () => {
  const bed = new Bed()
  const { over } = await bed.start(['completion', 'bash'])
  const { stdout } = await over
  expect(stdout).toMatch(/'run service'\|'run service '\*\) words='show edit export check /)
  expect(stdout).toMatch(/'run logs'\|'run logs '\*\) words='--follow --lines --since /)
  expect(stdout).toMatch(/'run'\) words='[^']*\bdeploy\b/)
})
