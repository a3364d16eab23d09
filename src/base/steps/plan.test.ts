// Plans that are killed at every moment, by a real SIGKILL, end all done or all undone, each effect there exactly once; and what else can go wrong with them.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import * as fc from 'fast-check'
import { atEveryPoint, runKilled } from '../../../test/kit/kill-points.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { lockFolder } from '../store/lock.ts'
import { journalPath } from './journal.ts'
import type { FixtureOptions } from './plan.fixture.ts'
import { type Step, carryOut } from './plan.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-steps-'))
  folders.push(folder)
  return folder
}

const fixture = join(import.meta.dirname, 'plan.fixture.ts')
const run = (folder: string, killAt: number, options: FixtureOptions): Promise<number | null> =>
  runKilled([fixture, folder, String(killAt), JSON.stringify(options)])
const worldIn = (folder: string): string[] =>
  existsSync(join(folder, 'world')) ? readFileSync(join(folder, 'world'), 'utf8').split('\n').filter(Boolean) : []
const named = (names: string, undo = names): FixtureOptions['steps'] =>
  names.split('').map((name) => ({ name, hasUndo: undo.includes(name) }))

/** Kills at that moment, then lets it come to its end: its exit code, and what the world is like then. */
async function killedOnce(at: number, first: FixtureOptions, then: FixtureOptions = first) {
  const folder = newFolder()
  const wasKilled = (await run(folder, at, first)) === null
  const code = wasKilled ? await run(folder, -1, then) : undefined
  const world = worldIn(folder)
  expect([at, existsSync(journalPath(folder, 'fixture'))]).toEqual([at, false])
  return { wasKilled, code, world }
}

describe('killed at every moment', { timeout: 120_000 }, () => {
  test('a plan is gone on with, and each deed is there exactly once, in order', async () => {
    const options = { steps: named('abc', 'a') }
    const points = await atEveryPoint(async (at) => {
      const { wasKilled, code, world } = await killedOnce(at, options)
      expect([at, world, code]).toEqual([at, ['a', 'b', 'c'], wasKilled ? 0 : undefined])
      return { wasKilled }
    })
    expect(points).toBe(3 * 3 + 1) // for each step: recorded, done, recorded; at last the end
  })

  test('a plan that is taken back on return leaves nothing, unless it had come to its end', async () => {
    const options = { steps: named('abc') }
    const seen = new Set<string>()
    await atEveryPoint(async (at) => {
      const { wasKilled, code, world } = await killedOnce(at, options, { ...options, onReturn: 'undo' })
      if (wasKilled) seen.add(`${code} ${world.join('')}`)
      else expect(world).toEqual(['a', 'b', 'c'])
      return { wasKilled }
    })
    // killed after its very end (its last record, the journal's removal), there is nothing to return to: the same plan is begun again, and finds all done
    expect([...seen].sort()).toEqual(['0 abc', '1 '])
  })

  test('a plan whose last deed cannot be leaves nothing, also when it is killed while it is taken back', async () => {
    const options = { steps: named('abc'), failsAt: 'c' }
    const points = await atEveryPoint(async (at) => {
      const { wasKilled, code, world } = await killedOnce(at, options)
      expect([at, world, code]).toEqual([at, [], wasKilled ? 1 : undefined])
      return { wasKilled }
    })
    expect(points).toBe(2 * 3 + 1 + 3 * 3 + 1) // forth, to the one that fails, and all the way back
  })

  test('past a step without a way back it only goes on, whoever asks for what', async () => {
    const options = { steps: named('abc', 'ac') }
    const seen = new Set<string>()
    await atEveryPoint(async (at) => {
      const { wasKilled, code, world } = await killedOnce(at, options, { ...options, onReturn: 'undo' })
      if (wasKilled) seen.add(`${code} ${world.join('')}`)
      return { wasKilled }
    })
    expect([...seen].sort()).toEqual(['0 abc', '1 '])
  })

  const numRuns = process.env['FAIRLEAD_LONG'] ? 300 : 12
  test(
    'again and again, at any moments: all or nothing',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.nat(18), { minLength: 1, maxLength: 4 }),
          fc.constantFrom(undefined, 'a', 'b', 'c'),
          fc.constantFrom('resume' as const, 'undo' as const),
          async (kills, failsAt, onReturn) => {
            const folder = newFolder()
            const options = { steps: named('abc'), onReturn, ...(failsAt === undefined ? {} : { failsAt }) }
            let code: number | null = null
            for (const at of [...kills, -1]) {
              code = await run(folder, at, options)
              if (code !== null) break
            }
            expect(existsSync(journalPath(folder, 'fixture'))).toBe(false)
            expect(worldIn(folder)).toEqual(code === 0 ? ['a', 'b', 'c'] : [])
            if (failsAt !== undefined) expect(code).toBe(1)
          },
        ),
        { numRuns },
      )
    },
    120_000 + numRuns * 2_000,
  ) // each starts up to five processes
})

/** A step on a set, with what is called noted. */
function step(name: string, world: Set<string>, calls: string[], more: Partial<Step> = {}): Step {
  return {
    name,
    isDone: () => world.has(name),
    do() {
      calls.push(`do ${name}`)
      world.add(name)
    },
    undo() {
      calls.push(`undo ${name}`)
      world.delete(name)
    },
    ...more,
  }
}
const plan = (folder: string, steps: readonly Step[]) => ({ folder, name: 'test', begin: () => ({ n: 1 }), steps: () => steps })

describe('what else may happen', () => {
  test('a deed that is there already is left as it is', async () => {
    const [world, calls] = [new Set(['b']), [] as string[]]
    await carryOut({ log }, plan(newFolder(), [step('a', world, calls), step('b', world, calls)]))
    expect(calls).toEqual(['do a'])
  })

  test('a deed without proof counts as failed, and what was before it is undone', async () => {
    const [world, calls] = [new Set<string>(), [] as string[]]
    const lazy = step('b', world, calls, { do: () => void calls.push('nothing') })
    await expect(carryOut({ log }, plan(newFolder(), [step('a', world, calls), lazy]))).rejects.toMatchObject({
      code: 'steps.undone',
      details: { step: 'b' },
    })
    expect(calls).toEqual(['do a', 'nothing', 'undo b', 'undo a'])
  })

  test('where there is no way back it stays, and goes on with what it was begun with', async () => {
    const [world, calls, folder] = [new Set<string>(), [] as string[], newFolder()]
    let isUp = false
    const { undo: _, ...final } = step('a', world, calls)
    const far = step('b', world, calls, {
      do() {
        if (!isUp) throw new Error('nobody answers')
        world.add('b')
      },
    })
    await expect(carryOut({ log }, plan(folder, [final, far]))).rejects.toMatchObject({ code: 'steps.stuck', details: { step: 'b' } })
    isUp = true
    const end = await carryOut({ log }, { ...plan(folder, [final, far]), begin: () => ({ n: 2 }) })
    expect(end).toEqual({ outcome: 'done', input: { n: 1 }, isResumed: true })
    expect(calls).toEqual(['do a'])
  })

  test('a step that is told to wait no longer leaves the plan as it is, for the next call', async () => {
    const [world, calls, folder, stop] = [new Set<string>(), [] as string[], newFolder(), new AbortController()]
    const waits = step('b', world, calls, {
      do: () => new Promise((_, reject) => stop.signal.addEventListener('abort', () => reject(new Error('stopped')))),
    })
    const running = carryOut({ log }, { ...plan(folder, [step('a', world, calls), waits]), signal: stop.signal })
    setImmediate(() => stop.abort())
    await expect(running).rejects.toThrow('stopped')
    expect([calls, [...world]]).toEqual([['do a'], ['a']])
    world.add('b')
    expect(await carryOut({ log }, plan(folder, [step('a', world, calls), waits]))).toMatchObject({ outcome: 'done', isResumed: true })
    expect(calls).toEqual(['do a'])
  })

  test('taking back that fails is gone on with, and never turns forward again', async () => {
    const [world, calls, folder] = [new Set<string>(), [] as string[], newFolder()]
    let isHeld = true
    const held = step('a', world, calls, {
      undo() {
        if (isHeld) throw new Error('in use')
        world.delete('a')
      },
    })
    const bad = step('b', world, calls, { do: () => Promise.reject(new Error('no')) })
    await expect(carryOut({ log }, plan(folder, [held, bad]))).rejects.toMatchObject({ code: 'steps.stuck', details: { step: 'a' } })
    isHeld = false
    expect(await carryOut({ log }, plan(folder, [held, bad]))).toMatchObject({ outcome: 'undone', isResumed: true })
    expect([...world]).toEqual([])
  })

  test('one process at a time; a journal of other steps, or that is none, is not touched', async () => {
    const folder = newFolder()
    const { release } = lockFolder(folder, 'test')
    await expect(carryOut({ log }, plan(folder, []))).rejects.toMatchObject({ code: 'steps.busy' })
    release()
    const steps = [{ name: 'x', state: 'doing' }]
    for (const [text, code] of [
      [JSON.stringify({ journal: 1, input: 1, direction: 'forward', steps }), 'steps.other_plan'],
      ['{', 'steps.journal_damaged'],
      ['null', 'steps.journal_damaged'],
      [JSON.stringify({ journal: 2, input: 1, direction: 'forward', steps }), 'steps.journal_damaged'],
      [JSON.stringify({ journal: 1, input: 1, direction: 'forward', steps: [{ name: 'x', state: 'gone' }] }), 'steps.journal_damaged'],
    ] as const) {
      writeFileSync(journalPath(folder, 'test'), text)
      await expect(carryOut({ log }, plan(folder, []))).rejects.toMatchObject({ code })
      expect(readFileSync(journalPath(folder, 'test'), 'utf8')).toBe(text)
    }
  })
})
