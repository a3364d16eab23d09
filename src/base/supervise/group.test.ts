// The three states of a process group.
import { spawn } from 'node:child_process'
import { expect, onTestFinished, test } from 'vitest'
import { hasLiving, signalGroup } from './group.ts'
import { isRunning, look, until } from './processes.fixture.ts'

test('a group lives, is dead but not taken note of, and is gone', async () => {
  // the inner one leads a group of its own, and its parent becomes a program that never asks for its end
  const script = `exec 3<&0; setsid sh -c 'echo $$; read line' <&3 & exec 3<&-; exec sleep 600`
  const parent = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void parent.kill('SIGKILL'))
  let said = ''
  parent.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await until('its number', () => said.endsWith('\n'))
  const pgid = Number(said)
  expect([signalGroup(pgid, 0), await hasLiving(pgid)]).toEqual([true, true])
  parent.stdin.end()
  await until('it ends', () => !isRunning(pgid))
  expect(look(pgid)).toMatchObject({ state: 'Z', pgid })
  expect([signalGroup(pgid, 0), await hasLiving(pgid)]).toEqual([true, false])
  parent.kill('SIGKILL')
  await until('somebody takes note', () => look(pgid) === undefined, 10_000)
  expect([signalGroup(pgid, 0), await hasLiving(pgid)]).toEqual([false, false])
})
