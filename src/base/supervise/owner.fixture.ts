// A small daemon with children, which tests kill: `owner.fixture.ts <mark> storm|latch`. It reports on stdout, a line each.
import { once } from 'node:events'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { type Child, startChild } from './child.ts'
import { startGuard } from './guard.ts'

const [mark = '', mode = ''] = process.argv.slice(2)
const guard = startGuard({ clock, log })
process.stdout.write(`guard ${guard.pid}\n`)
const needs = { guard, clock, log }
const env = { MARK: mark, PATH: '/usr/bin:/bin' }
const meek = 'sleep 600 & (sleep 600 & sleep 600) & wait'
const stubborn = `trap '' TERM INT HUP; ${meek}`
const leaving = 'sleep 600 & exit 0'

if (mode === 'latch') {
  await once(process.stdin, 'data')
  await startChild(needs, {
    name: 'latched',
    argv: ['sh', '-c', 'echo ran >&2; sleep 600'],
    env,
    onStderr: (line) => process.stdout.write(`${line}\n`),
  })
} else {
  const children: Child[] = []
  const scripts = [meek, stubborn, leaving]
  for (let at = 0; ; at++) {
    children.push(await startChild(needs, { name: `child ${at}`, argv: ['sh', '-c', scripts[at % 3]!], env }))
    if (at === 0) process.stdout.write('storm\n')
    if (children.length > 8) void children.shift()!.stop({ eofMs: 10, termMs: 10 })
  }
}
