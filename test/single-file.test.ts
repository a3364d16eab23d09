// The executable that `make mcp-agent` makes is the whole program in one file: it needs no Node, nothing beside it, and is called what it is.
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { later } from './kit/cleanup.ts'

const root = resolve(import.meta.dirname, '..')

const missing = existsSync('/usr/bin/make') ? undefined : 'make is not installed'

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(() => {
  if (missing === undefined) execFileSync('make', ['build/fairlead'], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
}, 120_000)

test('it is what it is called, without a Node on the path or a file of ours in reach', () => {
  const folder = mkdtempSync(join(tmpdir(), 'single-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  copyFileSync(join(root, 'build/fairlead'), join(folder, 'mcp-agent'))
  symlinkSync('mcp-agent', join(folder, 'mcp'))
  const run = (...argv: string[]): string =>
    execFileSync('env', ['-i', `HOME=${folder}`, 'PATH=/nowhere', ...argv], { cwd: folder, encoding: 'utf8' })
  expect(run('./mcp-agent', '--help')).toMatch(/^Usage: mcp-agent /)
  expect(run('./mcp', 'node', 'list')).toBe(`${folder}/.config/mcp/mcp.toml names no node; mcp node add NAME ADDRESS\n`)
  expect(run('./mcp-agent', '--as', 'bmp', '--help')).toMatch(/^bmp: /)
  run('./mcp-agent', '--as', 'mcp', 'node', 'list') // a name that is said counts more
  // a command with much behind it: libp2p and SQLite are inside
  run('./mcp-agent', '--as', 'bmp', 'init', '--name', 'Single')
  expect(run('./mcp-agent', '--as', 'bmp', 'status')).toContain('Single')
  expect(statSync(join(folder, 'mcp-agent')).size).toBeLessThan(200 * 2 ** 20)
})
