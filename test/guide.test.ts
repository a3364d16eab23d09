// The guide on the terminal is the guide in the repository, and what is generated of the reference is there for every command and setting.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { commands, configs } from '../src/extensions.ts'
import { main } from './kit/program.ts'

const docs = resolve(import.meta.dirname, '../docs')
const home = mkdtempSync(join(tmpdir(), 'fairlead-guide-'))
afterAll(() => rmSync(home, { recursive: true, force: true }))

function fairlead(...words: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [main, ...words], { env: { HOME: home, PATH: process.env['PATH']! }, encoding: 'utf8' })
}

test('help shows a page where no command is so named, word for word, and the list names every page', () => {
  const page = readFileSync(join(docs, 'guide', 'strict-networks.md'), 'utf8')
  for (const words of [
    ['help', 'strict-networks'],
    ['guide', 'strict-networks'],
  ])
    expect(fairlead(...words)).toMatchObject({ status: 0, stdout: page, stderr: '' })
  const { pages } = JSON.parse(fairlead('guide', '--json').stdout) as {
    readonly pages: readonly { readonly topic: string; readonly title: string }[]
  }
  expect(new Set(pages.map(({ topic }) => `${topic}.md`))).toEqual(new Set(readdirSync(join(docs, 'guide'))))
  expect(pages.every(({ topic, title }) => title !== topic && title !== '')).toBe(true)
})

test('a command keeps its own help, and a page that is none is told with the one that may be meant', () => {
  expect(fairlead('help', 'gate').stdout).toContain('Usage: fairlead gate <command>')
  expect(fairlead('help', 'reach', 'init').stdout).toContain('Usage: fairlead reach init')
  expect(fairlead('help', 'status').stdout).toContain('Usage: fairlead status')
  const { status, stderr } = fairlead('help', 'trubleshooting')
  expect(status).toBe(1)
  expect(stderr).toContain("did you mean 'troubleshooting'?")
})

test('the reference has every command with its flags, and every capability with settings', async () => {
  const page = readFileSync(join(docs, 'reference', 'commands.md'), 'utf8')
  for (const { path, load } of commands) {
    const part = page.split(`\n## fairlead ${path.join(' ')}\n`)[1]?.split('\n## ')[0] ?? ''
    expect(part, path.join(' ')).toContain(`Usage: fairlead ${path.join(' ')} `)
    for (const flag of Object.keys((await load()).default.flags)) expect(part, path.join(' ')).toContain(`--${flag}`)
  }
  const settings = readFileSync(join(docs, 'reference', 'config.md'), 'utf8')
  for (const { name } of configs) expect(settings).toContain(`\n## [${name}]\n`)
  expect(settings).toContain('| `upstreams.<name>.command` |')
}, 30_000)

test('the manual page names every command, and man(1) finds nothing wrong in it', ({ skip }) => {
  const read = spawnSync('man', ['--warnings', '-l', resolve(docs, '../man/man1/fairlead.1')], {
    env: { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '200' },
    encoding: 'utf8',
  })
  if (read.error) skip('man is not installed (man-db)')
  expect(read).toMatchObject({ status: 0, stderr: '' })
  for (const { path, summary } of commands) expect(read.stdout.replaceAll(/\s+/g, ' '), path.join(' ')).toContain(summary)
})

test('the reference has the faults that commands give, with their exit codes and remedies, and the metrics', () => {
  const page = readFileSync(join(docs, 'reference', 'faults.md'), 'utf8')
  const { status, stderr } = fairlead('help', 'trubleshooting', '--json')
  const { code } = (JSON.parse(stderr) as { readonly error: { readonly code: string } }).error
  const row = page.split('\n').find((line) => line.startsWith(`| \`${code}\` |`))
  expect(row?.split(' | ')[2]).toBe(String(status))
  expect(page.split('\n')).toContain('| denied | 4 | 403 | -32001 |')
  expect(readFileSync(join(docs, 'reference', 'metrics.md'), 'utf8')).toContain('| `fairlead_machine_cpu_percent` | gauge |')
})
