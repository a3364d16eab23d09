// One simulated machine with its agent: whatever is asked of it, calls of the runtime fail, are late or lose their answers, and the agent is killed at any moment.
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '../../src/kernel/log.ts'
import { memoryRuntime } from '../../src/run/memory/runtime.ts'
import { World } from '../../src/run/memory/world.ts'
import { changing } from '../../src/run/node/changing.ts'
import { type RunNode, startNode } from '../../src/run/node/node.ts'
import { readService } from '../../src/run/service/read.ts'
import { containerName, oursIn, placeText } from '../../src/run/container.ts'
import { type TestClock, createTestClock } from '../kit/clock.ts'
import { type Dice, diceOf } from './seeded.ts'

const stepMs = 100
const patienceMs = 600_000
const quietMs = 300_000

/** A service whose component can run twice at once, and one that cannot; a third of two parts. */
const definitions = (tags: Readonly<Record<string, number>>): Readonly<Record<string, string>> => ({
  solo: `name = "solo"\nnode = "rift"\n[[components]]\nname = "solo"\nimage = "reg:5000/solo:v${tags['solo']}"\nports = ["8080:80"]\n[components.health]\ncontainer = true\nwithin = "20s"\n`,
  twin: `name = "twin"\nnode = "rift"\n[[components]]\nname = "api"\nimage = "reg:5000/twin:v${tags['twin']}"\nrestart = "no"\n`,
  pair: `name = "pair"\nnode = "rift"\nafter = ["solo"]\n[[components]]\nname = "web"\nimage = "reg:5000/pair:v${tags['pair']}"\n[[components]]\nname = "db"\nimage = "reg:5000/db:v1"\nvolumes = ["/srv/pair:/data"]\n`,
})

const names = ['solo', 'twin', 'pair'] as const

export type Played = { readonly problems: readonly string[]; readonly story: readonly string[] }

/** Plays one seed. Problems: what does not hold when all is quiet again. */
export async function play(
  seed: number,
  { acts = 12, trouble = 0.12 }: { readonly acts?: number; readonly trouble?: number } = {},
): Promise<Played> {
  await readService(definitions({})['solo']!.replace('undefined', '1'), 'solo.toml') // what is loaded when it is first needed would take its time once
  const fleet = new Fleet(diceOf(seed), trouble)
  try {
    for (let act = 0; act < acts; act++) await fleet.act()
    return { problems: await fleet.settle(), story: fleet.story }
  } catch (error) {
    return { problems: [(error as Error).stack ?? String(error)], story: fleet.story }
  } finally {
    await fleet.end()
  }
}

class Fleet {
  readonly story: string[] = []
  readonly #dice: Dice
  readonly #clock: TestClock = createTestClock()
  readonly #world: World
  /** In memory where that can be: nothing here loses its power, and a disk that is waited for takes three quarters of a life. */
  readonly #root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'fleet-'))
  readonly #tags: Record<string, number> = { solo: 1, twin: 1, pair: 1 }
  readonly #bad = new Set<string>()
  readonly #trouble: number
  #calm = false
  #lives = 0
  #ids = 0
  #node!: RunNode
  #isDead: { value: boolean } = { value: false }

  constructor(dice: Dice, trouble: number) {
    this.#dice = dice
    this.#trouble = trouble
    this.#world = new World({ clock: this.#clock })
    for (const name of ['solo', 'twin', 'pair', 'db']) this.#world.push(`reg:5000/${name}:v1`, { health: 'healthy' })
    this.#live()
  }

  /** Starts an agent on what the one before left on the disk. Killed: it never hears an answer again. */
  #live(): void {
    const before = join(this.#root, String(this.#lives))
    const folder = join(this.#root, String(++this.#lives))
    if (this.#lives > 1) cpSync(before, folder, { recursive: true, filter: (path) => !path.endsWith('.lock') })
    const isDead = { value: false }
    const runtime = memoryRuntime({
      world: this.#world,
      script: (call) => this.#interfere(call.method),
      losesHint: () => this.#dice.chance(0.3),
    })
    const frozen = new Proxy(runtime, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key)
        if (typeof value !== 'function' || key === 'watch' || key === 'close') return value
        return (...args: unknown[]) => {
          if (isDead.value) return new Promise(() => {})
          const answer: unknown = Reflect.apply(value, target, args)
          return answer instanceof Promise ? unlessDead(answer, isDead) : answer
        }
      },
    })
    this.#isDead = isDead
    this.#node = startNode(
      { clock: this.#clock, log: silentLog, env: {}, runtime: frozen, newId: () => `d${++this.#ids}` },
      {
        node: 'rift',
        folder,
        services: '/nowhere', // no component here has a volume
        own: { folders: [], services: '/nowhere', ports: [], leastPort: 0 },
        monitor: { intervalMs: 5_000, flapCount: 3, flapWindowMs: 600_000, keepEventsMs: 86_400_000 },
        alert: { command: [], cooldownMs: 900_000 },
      },
    )
  }

  #interfere(method: string) {
    if (this.#calm || !this.#dice.chance(this.#trouble)) return undefined
    const reason = `trouble with ${method}`
    return this.#dice.pick([
      { do: 'slow', ms: this.#dice.below(20_000) },
      { do: 'fail', reason },
      { do: 'refuse', reason },
      { do: 'lose', reason },
    ] as const)
  }

  async act(): Promise<void> {
    const name = this.#dice.pick(names)
    const what = this.#dice.pick([
      'deploy',
      'deploy',
      'deploy-bad',
      'stop',
      'start',
      'rollback',
      'restart',
      'sync',
      'kill',
      'orphan',
      'remove',
      'reboot',
      'crash',
      'crash-in-deploy',
      'wait',
    ] as const)
    this.story.push(`${this.#clock.mono()} ${what} ${name}`)
    const running = this.#world.inmates.filter(({ state }) => state === 'running')
    switch (what) {
      case 'deploy':
      case 'deploy-bad':
        this.#release(name, what === 'deploy-bad')
        return this.#ask('deploy', { service: name, text: definitions(this.#tags)[name]! })
      case 'crash-in-deploy': {
        this.#release(name, this.#dice.chance(0.3))
        void this.#ask('deploy', { service: name, text: definitions(this.#tags)[name]! })
        await this.#clock.advance(this.#dice.below(2_000))
        return this.#crash()
      }
      case 'stop':
      case 'start':
        return this.#ask('set-active', { service: name, active: what === 'start' })
      case 'rollback':
      case 'restart':
        return this.#ask(what, { service: name })
      case 'sync':
        return this.#ask('sync', { texts: Object.values(definitions(this.#tags)), isDryRun: false })
      case 'kill':
        if (running.length > 0) this.#world.kill(this.#dice.pick(running).id)
        return
      case 'orphan':
        if (running.length > 0) this.#world.orphan(this.#dice.pick(running).id)
        return
      case 'remove':
        if (running.length > 0) this.#world.remove(this.#dice.pick(running))
        return
      case 'reboot':
        this.#world.reboot()
        return this.#crash()
      case 'crash':
        return this.#crash()
      case 'wait':
        return this.#clock.advance(this.#dice.below(60_000))
    }
  }

  #release(name: string, isBad: boolean): void {
    this.#tags[name] = this.#tags[name]! + 1
    const image = `reg:5000/${name}:v${this.#tags[name]}`
    if (isBad) this.#bad.add(image)
    this.#world.push(
      image,
      isBad
        ? this.#dice.pick([{ exits: { afterMs: 50, code: 3 } }, { health: 'unhealthy' } as const, { refuses: 'no such file' }])
        : { health: 'healthy' },
    )
  }

  #crash(): void {
    this.#isDead.value = true
    this.#live()
  }

  /** Asks and moves the clock until there is an answer, or the agent that was asked is dead. */
  async #ask(operation: 'deploy' | 'set-active' | 'rollback' | 'restart' | 'sync', input: object): Promise<void> {
    const isDead = this.#isDead
    const over = { value: false }
    const call = { say: async () => {}, signal: new AbortController().signal, caller: { name: 'sim', via: 'socket' as const } }
    const asked = (changing(this.#node)[operation] as (input: object, call: object) => Promise<unknown>)(input, call)
    asked
      .then(
        (answer) => this.story.push(`  ${operation}: ${JSON.stringify(answer).slice(0, 200)}`),
        (error: Error) => this.story.push(`  ${operation}: ${error.message}`),
      )
      .finally(() => {
        over.value = true
      })
    for (let spentMs = 0; !over.value && !isDead.value; spentMs += stepMs) {
      if (spentMs > patienceMs) throw new Error(`${operation} ${JSON.stringify(input)} hangs`)
      await this.#clock.advance(stepMs)
    }
  }

  /** Lets all trouble end and time pass; answers what is not as it should be. */
  async settle(): Promise<string[]> {
    this.#calm = true
    await this.#clock.advance(quietMs)
    const problems: string[] = []
    const { components } = await this.#node.monitor.see()
    const known = new Map((await this.#node.known.all()).map((one) => [one.service.name, one.service]))
    for (const { place, component, current, others } of components) {
      const text = placeText(place)
      const recorded = this.#node.registry.current(place)
      const isTried = this.#node.deploying.unfinished().some((one) => placeText(one) === text)
      // nothing of it ever ran well, and what is defined cannot
      const isBad = this.#bad.has(recorded?.reference ?? component.image)
      if (others.length > 0) problems.push(`${text} has ${others.length + 1} containers`)
      const isActive = known.get(place.service)!.active
      if (isActive && current?.state !== 'running' && !isBad) problems.push(`${text} should run and is ${current?.state ?? 'missing'}`)
      if (!isActive && current?.state === 'running') problems.push(`${text} should be stopped and runs`)
      if (isTried && !isBad) problems.push(`${text} has an unfinished deployment`)
      if (current && current.name !== containerName(place) && !isTried) problems.push(`${text} is called ${current.name}`)
      if (current && recorded && recorded.digest !== current.image.digest)
        problems.push(`${text} runs ${current.image.digest}, and ${recorded.digest} is on record`)
    }
    for (const inmate of this.#world.inmates) {
      const ours = oursIn({ ...inmate, image: inmate.spec.image, labels: inmate.spec.labels })
      if (ours && !known.has(ours.place.service)) problems.push(`${inmate.name} is nobody's`)
    }
    return problems
  }

  async end(): Promise<void> {
    this.#calm = true
    const ended = this.#node[Symbol.asyncDispose]()
    await this.#clock.advance(60_000)
    await Promise.resolve(ended).catch(() => {})
    rmSync(this.#root, { recursive: true, force: true })
  }
}

/** The answer, or nothing for ever once its caller is dead. */
async function unlessDead<Answer>(answer: Promise<Answer>, isDead: { readonly value: boolean }): Promise<Answer> {
  try {
    return await answer
  } finally {
    if (isDead.value) await new Promise(() => {})
  }
}
