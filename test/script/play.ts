// Plays the steps of a page on a stage, and keeps which requirements were proved by steps that really went well.
import type { Step } from './document.ts'
import { type Match, type Values, filled, match } from './pattern.ts'
import type { Stage, Window } from './stage.ts'

/** How long a terminal may take to show what the page says it shows. */
const patienceMs = 30_000

export type Scene = {
  readonly stage: Stage
  readonly values: Values
  window(name: string): Window
}

/** What a person does without a shell. Throws when it did not go as it should. */
export type Acts = Readonly<Record<string, (scene: Scene) => Promise<void>>>

export interface Player {
  /** Throws, naming the line of the page, when the step does not go as the page says. */
  play(step: Step): Promise<void>
  /** Ids of the requirements that steps have proved so far. */
  readonly proved: ReadonlySet<string>
}

/** `values`: what `<NAME>` stands for from the start. */
export function createPlayer(stage: Stage, acts: Acts, given: Readonly<Record<string, string>>): Player {
  const values = new Map(Object.entries(given))
  const windows = new Map<string, { readonly window: Window; read: number }>()
  const proved = new Set<string>()

  const keep = (found: Match): void => {
    for (const [name, value] of found.values) values.set(name, value)
  }
  const opened = (name: string): { readonly window: Window; read: number } => {
    const found = windows.get(name)
    if (!found) throw new Error(`there is no window ${name}`)
    return found
  }
  const hear = async (name: string, shows: string | undefined): Promise<void> => {
    const entry = opened(name)
    const deadline = performance.now() + patienceMs
    const isOver = entry.window.ended.then(() => true)
    const look = (): Match | undefined => match(shows ?? '', entry.window.output(), values, { from: entry.read })
    let found = look()
    while (!found && performance.now() < deadline) {
      const ended = await Promise.race([isOver, new Promise<false>((resolve) => setTimeout(() => resolve(false), 20))])
      found = look()
      if (ended && !found) throw mismatch(shows, entry.window.output().slice(entry.read))
    }
    if (!found) throw mismatch(shows, entry.window.output().slice(entry.read))
    entry.read = found.end
    keep(found)
  }
  const onEach = async (
    names: readonly string[],
    act: (host: NonNullable<ReturnType<Stage['hosts']['get']>>) => Promise<void>,
  ): Promise<void> => {
    await Promise.all(
      names.map((name) => {
        const host = stage.hosts.get(name)
        if (!host) throw new Error(`there is no host ${name}`)
        return act(host)
      }),
    )
  }

  const carryOut = async ({ doing, shows }: Step): Promise<void> => {
    switch (doing.does) {
      case 'run':
        return onEach(doing.hosts, async (host) => {
          const { exitCode, output } = await host.run(filled(doing.script, values))
          if (exitCode !== doing.exitCode) throw new Error(`exit code ${exitCode} instead of ${doing.exitCode}:\n${output}`)
          if (shows === undefined) return
          const found = match(shows, output, values, { isWhole: true })
          if (!found) throw mismatch(shows, output)
          keep(found)
        })
      case 'open':
        return onEach(doing.hosts, async (host) => {
          windows.set(doing.window, { window: host.open(filled(doing.script, values)), read: 0 })
          if (shows !== undefined) await hear(doing.window, shows)
        })
      case 'write':
        return onEach(doing.hosts, async (host) => host.write(doing.path, `${filled(doing.text, values)}\n`))
      case 'hear':
        return hear(doing.window, shows)
      case 'stop':
        return void (await opened(doing.window).window.stop())
      case 'act': {
        const act = acts[doing.act]
        if (!act) throw new Error(`nobody knows how to act "${doing.act}"`)
        return act({ stage, values, window: (name) => opened(name).window })
      }
    }
  }

  return {
    proved,
    async play(step) {
      try {
        await carryOut(step)
      } catch (error) {
        throw new Error(`line ${step.line}: ${(error as Error).message}`, { cause: error })
      }
      for (const id of step.proves) proved.add(id)
    },
  }
}

function mismatch(shows: string | undefined, shown: string): Error {
  return new Error(`it shows\n${shown.trimEnd()}\nwhere the page says\n${shows}`)
}
