// Proves how typed words find their command, under each name of the program, and what is said when they find none.
import { describe, expect, test } from 'vitest'
import { commandList, findCommand, typedName } from './catalogue.ts'
import type { CommandEntry } from './command.ts'
import { foldersOf, homeFolder } from './folders.ts'
import { nearest } from './nearest.ts'

const commands: readonly CommandEntry[] = ['status', 'up', 'reach init', 'reach status', 'reach registry', 'run agent', 'run status'].map(
  (path) => ({
    path: path.split(' '),
    summary: `does ${path}`,
    load: () => Promise.reject(new Error('a list must not load commands')),
  }),
)
const fairlead = { name: 'fairlead', prefix: [] }
const bmp = { name: 'bmp', prefix: ['reach'] }
const server = { name: 'bmp-server', prefix: ['reach', 'registry'] }

function found(program: typeof fairlead | typeof bmp, words: string): string {
  const result = findCommand(commands, program, words.split(' ').filter(Boolean))
  return result.is === 'group' ? `group ${result.path.join(' ')}`.trim() : `${result.entry.path.join(' ')} <${result.rest.join(' ')}>`
}

test('words find the longest command path; the rest are arguments', () => {
  expect(found(fairlead, 'reach init --name x')).toBe('reach init <--name x>')
  expect(found(fairlead, 'status')).toBe('status <>')
  expect(found(fairlead, 'reach')).toBe('group reach')
  expect(found(fairlead, 'reach --help')).toBe('group reach')
  expect(found(fairlead, '--json')).toBe('group')
})

test("a runbook's name puts its path first, and still takes whole paths", () => {
  expect(found(bmp, 'status')).toBe('reach status <>')
  expect(found(bmp, 'init reach status')).toBe('reach init <reach status>')
  expect(found(bmp, 'run agent --once')).toBe('run agent <--once>')
  expect(found(bmp, '')).toBe('group reach')
  expect(found(server, '--port 8765')).toBe('reach registry <--port 8765>')
  expect(found(server, 'status')).toBe('reach registry <status>')
  expect(found(server, 'reach init')).toBe('reach init <>')
  expect(typedName(bmp, ['reach', 'init'])).toBe('bmp init')
})

test('an unknown command is a usage fault that knows what was meant', () => {
  const hint = (program: typeof fairlead | typeof bmp, words: string): unknown => {
    try {
      return found(program, words)
    } catch (error) {
      return `${(error as { kind: string }).kind}: ${(error as Error).message}; ${(error as { hint: string }).hint}`
    }
  }
  expect(hint(fairlead, 'reach stauts')).toBe(
    "usage: there is no command 'fairlead reach stauts'; did you mean 'fairlead reach status'? All commands: fairlead reach --help",
  )
  expect(hint(fairlead, 'init')).toContain("did you mean 'fairlead reach init'?")
  expect(hint(bmp, 'inti')).toContain("did you mean 'bmp init'?")
  expect(hint(fairlead, 'zebra')).toBe("usage: there is no command 'fairlead zebra'; all commands: fairlead --help")
  expect(hint(fairlead, '--jsn')).toContain("did you mean '--json'?")
})

test('the list is grouped, complete, and loads nothing', () => {
  const plain = (text: string): string => text
  const style = { bold: plain, dim: plain, good: plain, bad: plain }
  const all = commandList(commands, fairlead, [], style)
  for (const { path, summary } of commands) expect(all).toMatch(new RegExp(`^  ${path.join(' ')} +${summary}$`, 'm'))
  expect(all.indexOf('the whole machine')).toBeLessThan(all.indexOf('reach: '))
  expect(all.indexOf('reach: ')).toBeLessThan(all.indexOf('run: '))
  expect(commandList(commands, bmp, ['reach'], style)).toMatch(/^ {2}init +does reach init$/m)
})

test('the nearest word', () => {
  expect(nearest('stauts', ['start', 'status'])).toBe('status')
  expect(nearest('INIT', ['init'])).toBe('init')
  expect(nearest('complet', ['completion'])).toBe('completion')
  expect(nearest('xyz', ['abc'])).toBeUndefined()
  expect(nearest('a'.repeat(10_000), ['a'])).toBeUndefined()
})

describe('folders', () => {
  test('XDG, with the defaults of its specification', () => {
    expect(foldersOf({}, '/h', false)).toEqual({
      config: '/h/.config/fairlead',
      state: '/h/.local/state/fairlead',
      runtime: '/h/.local/state/fairlead/run',
    })
    const env = { XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: 'relative', XDG_RUNTIME_DIR: '/r' }
    expect(foldersOf(env, '/h', true)).toEqual({ config: '/c/fairlead', state: '/h/.local/state/fairlead', runtime: '/r/fairlead' })
  })

  test('the system folders are for root, when it says so', () => {
    expect(foldersOf({ FAIRLEAD_SYSTEM: '1' }, '/root', true)).toEqual({
      config: '/etc/fairlead',
      state: '/var/lib/fairlead',
      runtime: '/run/fairlead',
    })
    expect(foldersOf({ FAIRLEAD_SYSTEM: '1' }, '/h', false).config).toBe('/h/.config/fairlead')
  })

  test("a runbook's name has its own, and FAIRLEAD_HOME decides before it", () => {
    expect(foldersOf({}, '/h', false, { home: '~/.bmp' })).toMatchObject({ home: '/h/.bmp', config: '/h/.config/fairlead' })
    expect(foldersOf({}, '/h', true, { config: '/etc/mcp-raspi' }).config).toBe('/etc/mcp-raspi')
    expect(foldersOf({ FAIRLEAD_HOME: '/all' }, '/h', true, { home: '~/.bmp' })).toEqual({
      config: '/all/config',
      state: '/all/state',
      runtime: '/all/run',
    })
  })

  test('no home at all is a fault', () => {
    expect(homeFolder({ HOME: '/h' }, () => '/db')).toBe('/h')
    expect(homeFolder({}, () => '/db')).toBe('/db')
    const absent = (): string => {
      throw new Error('ENOENT')
    }
    expect(() => homeFolder({ HOME: '' }, absent)).toThrow('the home folder is not known')
  })
})
