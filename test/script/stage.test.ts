// Proves that the machines of a stage are what a page takes them for, and that they go with whoever made them, however that ends.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { commandOf, everyProcess, isRunning, until } from '../../src/base/supervise/processes.fixture.ts'
import { later } from '../kit/cleanup.ts'
import { createStage, home, obstacle } from './stage.ts'

const missing = obstacle()
beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})

test('hosts have a network between them, and processes, ports and a home of their own; scripts run in a terminal and fail at their first failure', async () => {
  const stage = await createStage(['one', 'two'])
  later(() => stage.close())
  const [one, two] = ['one', 'two'].map((name) => stage.hosts.get(name)!)
  one!.write('~/here.txt', 'one\n')
  expect(one!.read('~/here.txt')).toBe('one\n')
  const { exitCode, output } = await one!.run('cat here.txt; ls /proc | grep -c "^[0-9]"; tty')
  expect(exitCode).toBe(0)
  expect(output).toMatch(/^one\n\d\n\/dev\/pts\/\d+\n$/)
  expect(await two!.run('ls here.txt 2>/dev/null; echo not reached')).toEqual({ exitCode: 2, output: '' })
  expect(existsSync(join(home, 'here.txt'))).toBe(false)
  const heard = two!.open(`cat < /dev/null; ip route get ${one!.address}; sleep 600`)
  await until('it shows the way', () => heard.output().includes(`${one!.address} dev eth0`))
  expect((await heard.stop()).exitCode).toBe(130)
})

test('a SIGKILL of the one who made it leaves no process', async () => {
  const script = `import { createStage } from ${JSON.stringify(join(import.meta.dirname, 'stage.ts'))}
const stage = await createStage(['one'])
await stage.hosts.get('one').run('nohup sleep 601 >/dev/null 2>&1 &')
console.log('ready')`
  const maker = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  later(() => maker.kill('SIGKILL'))
  await once(maker.stdout, 'data')
  const behind = everyProcess().filter(({ pid }) => isRunning(pid) && commandOf(pid) === 'sleep 601 ')
  expect(behind).toHaveLength(1)
  maker.kill('SIGKILL')
  await until('it has gone', () => !isRunning(behind[0]!.pid))
})
