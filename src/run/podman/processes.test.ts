// A process is told from another one that has its number.
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { isConmon, processes, statOfProcess } from './processes.ts'

const bootedAtMs = Date.now() - Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1_000
const startedAtMs = bootedAtMs + statOfProcess(process.pid)!.startTicks * 10

test('it is the one that was started then', () => {
  const { isAlive } = processes({ clock })
  expect(isAlive('x', process.pid, startedAtMs + 800)).toBe(true)
  expect(isAlive('x', process.pid, startedAtMs - 60_000)).toBe(false)
  expect(isAlive('x', process.pid, startedAtMs + 60_000)).toBe(false)
})

test('numbers that are nobody are not alive', () => {
  const { isAlive } = processes({ clock })
  for (const pid of [0, -1, 1, 2 ** 22 + 1]) expect(isAlive('x', pid, startedAtMs)).toBe(false)
})

test('what its conmon proved once holds, whatever the clock says later', () => {
  const { isAlive, keepOnly } = processes({ clock: { ...clock, now: () => Date.now() + 86_400_000 } })
  const { parent } = statOfProcess(process.pid)!
  // the parent of this process stands for a conmon: a word of its argv for the id
  const [id] = readFileSync(`/proc/${parent}/cmdline`, 'utf8').split('\0')
  expect(isConmon(parent, id!)).toBe(true)
  expect(isAlive('other', process.pid, startedAtMs)).toBe(false)
  expect(isAlive(id!, process.pid, startedAtMs)).toBe(true)
  keepOnly(new Set())
  expect(isAlive('other', process.pid, startedAtMs)).toBe(false)
})
