// `mcp backup` and `mcp restore` as a person uses them, the agent's own daily copies, and `mcp-agent recover`.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { Bed } from './bed.ts'

const ok = { exitCode: 0 }

async function withData(settings = '') {
  const bed = new Bed()
  const agent = await bed.agent('rift', settings)
  expect(await bed.mcp(['node', 'add', 'rift', `unix:${agent.socket}`])).toMatchObject(ok)
  writeFileSync(join(bed.services, 'web.toml'), `on_drift = "ignore"\n${bed.define('web', 'rift')}`) // nobody else starts it
  expect(await bed.mcp(['deploy', 'web'])).toMatchObject(ok)
  const data = join(agent.folder, 'srv/web')
  mkdirSync(join(data, 'certs'), { recursive: true })
  writeFileSync(join(data, 'certs/cert.pem'), 'first', { mode: 0o600 })
  symlinkSync('certs/cert.pem', join(data, 'current.pem'))
  const database = new DatabaseSync(join(data, 'web.db'))
  database.exec("PRAGMA journal_mode = wal; CREATE TABLE note (text TEXT); INSERT INTO note VALUES ('first')")
  return { bed, agent, data, database, backups: join(agent.folder, 'backups/web') }
}

const notes = (path: string): string[] => {
  const database = new DatabaseSync(path)
  try {
    return (database.prepare('SELECT text FROM note').all() as { text: string }[]).map(({ text }) => text)
  } finally {
    database.close()
  }
}

test('a backup of a service that runs, and the way back: stopped, replaced, started; what was there is kept', async () => {
  const { bed, data, database, backups } = await withData()
  const made = await bed.mcp(['backup', 'web', '--json'])
  expect(made).toMatchObject({ ...ok, json: { node: 'rift', files: 2, databases: ['web.db'], remarks: [] } })
  const { name } = made.json as { name: string }
  expect(readFileSync(join(backups, name, 'files/certs/cert.pem'), 'utf8')).toBe('first')
  expect(existsSync(join(backups, name, 'files/web.db-wal'))).toBe(false)

  database.exec("INSERT INTO note VALUES ('second')")
  writeFileSync(join(data, 'certs/cert.pem'), 'second')
  writeFileSync(join(data, 'new.txt'), 'new')
  expect(await bed.mcp(['restore', 'web'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/web runs \(web\).*\n.*mcp restore web --stop/),
  })
  expect(readFileSync(join(data, 'certs/cert.pem'), 'utf8')).toBe('second')
  const restored = await bed.mcp(['restore', 'web', '--stop', '--json'])
  expect(restored).toMatchObject({ ...ok, json: { from: { name }, stopped: ['web'], keptAs: expect.any(String) } })
  database.close()
  expect(readFileSync(join(data, 'current.pem'), 'utf8')).toBe('first')
  expect(readdirSync(data).sort()).toEqual(['certs', 'current.pem', 'web.db'])
  expect(notes(join(data, 'web.db'))).toEqual(['first'])
  expect((await bed.mcp(['ps', '--json'])).json).toMatchObject({ nodes: [{ containers: [{ state: 'running' }] }] })

  const { keptAs } = restored.json as { keptAs: string }
  expect(await bed.mcp(['backup', 'web', '--list'])).toMatchObject({
    ...ok,
    stdout: expect.stringMatching(new RegExp(`NAME[^]*${keptAs}[^]*${name}`)),
  })
  expect(await bed.mcp(['restore', 'web', keptAs, '--stop', '--discard'])).toMatchObject({
    ...ok,
    stdout: expect.stringMatching(/3 files.*\)\n$/),
  })
  expect(notes(join(data, 'web.db'))).toEqual(['first', 'second'])
  expect((await bed.mcp(['events', '--json'])).stdout).toMatch(/backed-up[^]*restored/)
})

test('a backup that is not whole, or none, changes nothing and stops nothing', async () => {
  const { bed, data, backups, database } = await withData()
  database.close()
  expect(await bed.mcp(['restore', 'web', '--stop'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('there is no backup of web'),
  })
  const { name } = (await bed.mcp(['backup', 'web', '--json'])).json as { name: string }
  expect(await bed.mcp(['restore', 'web', '../../x', '--stop'])).toMatchObject({ exitCode: 2 })
  expect(await bed.mcp(['backup', 'nothing', '--node', 'rift'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('no service nothing'),
  })
  writeFileSync(join(bed.services, 'bare.toml'), `active = false\n${bed.define('bare', 'rift')}`)
  expect(await bed.mcp(['sync'])).toMatchObject(ok)
  expect(await bed.mcp(['backup', 'bare'])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('bare has no data folder') })
  const file = join(backups, name, 'files/certs/cert.pem')
  writeFileSync(file, 'other')
  expect(await bed.mcp(['restore', 'web', name, '--stop', '--discard'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('SHA-256'),
  })
  const manifest = join(backups, name, 'manifest.json')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"certs/cert.pem"', '"../mail/cert.pem"'))
  expect(await bed.mcp(['restore', 'web', name, '--stop', '--discard'])).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining('leads upwards'),
  })
  writeFileSync(manifest, '{}')
  expect(await bed.mcp(['restore', 'web', name, '--stop'])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('is not whole') })
  expect(readFileSync(join(data, 'certs/cert.pem'), 'utf8')).toBe('first')
  expect(readdirSync(join(data, '..'))).toEqual(['web'])
  expect(readdirSync(data).sort()).toEqual(['certs', 'current.pem', 'web.db'])
  expect((await bed.mcp(['ps', '--json'])).json).toMatchObject({ nodes: [{ containers: [{ state: 'running' }] }] })
})

test('after the loss of the machine: a service that the new agent does not know yet gets its data back', async () => {
  const { bed, agent, data, database } = await withData()
  database.close()
  expect(await bed.mcp(['backup', 'web'])).toMatchObject(ok)
  agent.kill('SIGKILL')
  await agent.over
  const other = await bed.agent('other')
  execFileSync('cp', ['-a', join(agent.folder, 'backups'), other.folder])
  expect(await bed.mcp(['node', 'add', 'other', `unix:${other.socket}`])).toMatchObject(ok)
  expect(await bed.mcp(['restore', 'web', '--node', 'other'])).toMatchObject(ok)
  expect(execFileSync('diff', ['-r', data, join(other.folder, 'srv/web')], { encoding: 'utf8' })).toBe('')
})

test('the agent ends what a kill cut off before it starts anything', async () => {
  const { bed, agent, data, database } = await withData()
  database.close()
  agent.kill('SIGKILL')
  await agent.over
  const work = join(data, '.mcp-restore')
  mkdirSync(join(work, 'new'), { recursive: true })
  writeFileSync(join(work, 'new/whole.txt'), 'restored')
  const again = await bed.start(['run', 'agent', '--config', join(agent.folder, 'mcp-agent.toml'), '--json'])
  await again.heard('}\n')
  expect(readdirSync(data)).toEqual(['whole.txt'])
})

test('recover starts what should run, says so, and touches nothing else', async () => {
  const { bed, agent } = await withData()
  bed.define('quiet', 'rift', 'reg:5000/quiet:v1')
  writeFileSync(join(bed.services, 'quiet.toml'), `on_drift = "ignore"\n${bed.definition('quiet')}`)
  expect(await bed.mcp(['sync'])).toMatchObject(ok)
  const recover = async () => {
    const run = await bed.start(['run', 'agent', 'recover', '--config', join(agent.folder, 'mcp-agent.toml')])
    return run.over
  }
  expect(await recover()).toMatchObject({ ...ok, stdout: 'quiet/quiet: made\n1 ran already, 1 did not (simulated: nothing really runs)\n' })
  expect(await recover()).toMatchObject({ ...ok, stdout: '2 ran already, 0 did not (simulated: nothing really runs)\n' })
  expect(await bed.mcp(['stop', 'web'])).toMatchObject(ok)
  expect(await recover()).toMatchObject({ ...ok, stdout: '1 ran already, 0 did not (simulated: nothing really runs)\n' })
  agent.kill('SIGKILL')
  await agent.over
  rmSync(join(agent.folder, 'run'), { recursive: true })
  expect(await recover()).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('agent') })
})
