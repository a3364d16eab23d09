// `mcp sync --from`: what is committed, and nothing else, after a person saw the difference.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { expect, test } from 'vitest'
import { atTerminal } from '../kit/at-terminal.ts'
import { main } from '../kit/program.ts'
import { Bed } from './bed.ts'

const ok = { exitCode: 0 }

async function withCheckout() {
  const bed = new Bed()
  const agent = await bed.agent('rift')
  expect(await bed.mcp(['node', 'add', 'rift', `unix:${agent.socket}`])).toMatchObject(ok)
  const checkout = join(bed.root, 'cluster')
  mkdirSync(join(checkout, 'services'), { recursive: true })
  const env = {
    PATH: process.env['PATH'],
    HOME: bed.home,
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@b',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@b',
  }
  const git = (...args: string[]): string => execFileSync('git', ['-C', checkout, ...args], { env, encoding: 'utf8' })
  git('init', '-q', '-b', 'main')
  const write = (name: string, image: string, more = ''): void =>
    writeFileSync(
      join(checkout, `services/${name}.toml`),
      `name = "${name}"\nnode = "rift"\n[[components]]\nname = "${name}"\nimage = "${image}"\n${more}`,
    )
  const commit = (subject: string): void => {
    git('add', '-A')
    git('commit', '-qm', subject)
  }
  const known = async () => {
    const { nodes } = (await bed.mcp(['list', '--json'])).json as { nodes: { services: { name: string; digests?: object }[] }[] }
    return nodes[0]!.services.map(({ name }) => name).sort()
  }
  const shown = async (name: string) => (await bed.mcp(['service', 'show', name])).stdout
  return { bed, agent, checkout, git, write, commit, known, shown }
}

test('the difference is shown, nothing happens without a yes, and what is committed is what counts', async () => {
  const { bed, checkout, write, commit, known, shown, git } = await withCheckout()
  write('web', 'r/web:v1')
  commit('web: v1')
  const refused = await bed.mcp(['sync', '--from', checkout])
  expect(refused).toMatchObject({
    exitCode: 4,
    stderr: expect.stringMatching(/\+image = "r\/web:v1"[^]*web: v1[^]*nobody said yes[^]*--yes/),
  })
  expect(await known()).toEqual([])
  expect(await bed.mcp(['sync', '--from', checkout, '--dry-run'])).toMatchObject({
    ...ok,
    stdout: expect.stringContaining('1 would change'),
    stderr: expect.stringContaining('+image'),
  })
  expect(await known()).toEqual([])
  expect(await bed.mcp(['sync', '--from', join(checkout, 'services'), '--yes'])).toMatchObject({
    ...ok,
    stdout: expect.stringContaining('rift: web: new'),
  })
  expect(await known()).toEqual(['web'])

  write('web', 'r/web:v2')
  write('mail', 'r/mail:v1')
  expect(await bed.mcp(['sync', '--from', checkout, '--yes'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/not everything in .* is committed: services\/web\.toml, services\/mail\.toml\n.*--force/),
  })
  expect(await bed.mcp(['sync', '--from', checkout, '--yes', '--force'])).toMatchObject({
    ...ok,
    stderr: expect.stringContaining('as the nodes know it'),
  })
  expect(await known()).toEqual(['web'])
  expect(await shown('web')).toContain('r/web:v1')
  commit('web: v2, mail')
  write('web', 'r/web:v3')
  expect(await bed.mcp(['sync', '--from', checkout, '--ref', 'HEAD~1', '--yes', '--force'])).toMatchObject(ok)
  expect(await known()).toEqual(['web'])
  const forced = await bed.mcp(['sync', '--from', checkout, '--yes', '--force'])
  expect(forced).toMatchObject({ ...ok, stderr: expect.stringMatching(/-image = "r\/web:v1"\n\+image = "r\/web:v2"/) })
  expect(await known()).toEqual(['mail', 'web'])
  expect(await shown('web')).toContain('r/web:v2')
  expect(git('status', '--porcelain')).toBe(' M services/web.toml\n') // nothing was checked out
  expect(readdirSync(join(bed.home, '.local/state/fairlead/run'))).not.toContainEqual(expect.stringContaining('sync-'))
})

test('a person is asked at the terminal', { timeout: 30_000 }, async () => {
  const { bed, checkout, write, commit, known } = await withCheckout()
  write('web', 'r/web:v1')
  commit('web: v1')
  const env = { PATH: process.env['PATH']!, HOME: bed.home }
  const argv = [process.execPath, main, '--as', 'mcp', 'sync', '--from', checkout]
  expect(await atTerminal(argv, env, [['Sync it? [y/N]', 'n']])).toMatchObject({ exitCode: 4 })
  expect(await known()).toEqual([])
  expect(await atTerminal(argv, env, [['Sync it? [y/N]', 'y']])).toMatchObject({
    exitCode: 0,
    shown: expect.stringContaining('+image = "r/web:v1"'),
  })
  expect(await known()).toEqual(['web'])
})

test('what is wrong is told, and changes nothing; the checkout runs nothing', async () => {
  const { bed, checkout, write, commit, known, git } = await withCheckout()
  const evil = join(bed.root, 'evil')
  expect(await bed.mcp(['sync', '--from', bed.root])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('is no git checkout') })
  expect(await bed.mcp(['sync', '--from', checkout])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('there is no commit HEAD'),
  })
  write('web', 'r/web:v1')
  write('bad', 'r/bad:latest')
  writeFileSync(join(checkout, '.gitattributes'), '*.toml diff=evil\n')
  git('config', 'diff.evil.textconv', `touch ${evil}; cat`)
  writeFileSync(join(bed.home, '.gitconfig'), `[diff]\n  external = touch ${evil}\n`) // the person's own: then it would not be git's diff
  writeFileSync(join(checkout, 'monitor'), `#!/bin/sh\ntouch ${evil}\n`, { mode: 0o755 })
  commit('both')
  git('config', 'core.fsmonitor', join(checkout, 'monitor'))
  expect(await bed.mcp(['sync', '--from', checkout, '--yes'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/[0-9a-f]{12}:services\/bad\.toml:5 components\[0\]\.image: needs a tag/),
  })
  expect(await known()).toEqual([])
  git('-c', 'core.fsmonitor=false', 'rm', '-q', '--cached', 'services/bad.toml')
  git('-c', 'core.fsmonitor=false', 'commit', '-qm', 'without')
  expect(await bed.mcp(['sync', '--from', checkout, '--yes', '--force'])).toMatchObject(ok)
  expect(await known()).toEqual(['web'])
  expect(await bed.mcp(['sync', '--from', checkout, '--ref', '--output=x', '--yes', '--force'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('no commit --output=x'),
  })
  expect(await bed.mcp(['sync', '--ref', 'v1'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('--ref means nothing without --from'),
  })
  expect(existsSync(evil)).toBe(false)
})
