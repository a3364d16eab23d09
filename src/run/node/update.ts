// Carries out the plan of a deployment, step by step, over any stop: the new container is well and takes the old one's place, or the old one is back.
import { readdirSync } from 'node:fs'
import type { Log } from '../../kernel/log.ts'
import { type Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { type Step, carryOut } from '../../base/steps/plan.ts'
import { type Place, labelsOf, placeText, specOf } from '../container.ts'
import { fault } from '../faults.ts'
import type { UpdateStep } from '../plan.ts'
import type { Container, ResolvedImage, Runtime } from '../runtime.ts'
import type { Component } from '../service/config.ts'
import { type Verdict, hasHealth } from './health.ts'
import type { Current, Registry } from './registry.ts'

/** What the journal of a deployment begins with: all that a process needs that goes on with it. */
export type Update = {
  readonly place: Place
  readonly component: Component
  readonly image: ResolvedImage
  readonly deployment: string
  readonly steps: readonly UpdateStep[]
  /** Which of those before ran: they are started again on the way back. */
  readonly ran: readonly string[]
  readonly before?: Current | undefined
}

export type UpdateNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly runtime: Runtime
  readonly registry: Registry
  readonly health: (component: Component, container: Container, signal: AbortSignal) => Promise<Verdict>
}

export type UpdateEnd = {
  readonly outcome: 'deployed' | 'rolled-back' | 'failed'
  readonly reason: string | null
  readonly lastLines: readonly string[]
}
export type SayStep = (step: string, text: string) => void

/** A component without a health check is well when it stayed up for so long. */
const settleMs = 1_000
const askEveryMs = 250
const keptLines = 20

/** Begins this one, or ends the one that was begun at that place. Rejects only when it stands where it can go neither on nor back: the next call goes on. */
export async function carryOutUpdate(
  needs: UpdateNeeds,
  {
    folder,
    place,
    begin,
    say,
    signal,
  }: { readonly folder: string; readonly place: Place; readonly begin: () => Update; readonly say: SayStep; readonly signal: AbortSignal },
): Promise<UpdateEnd & { readonly update: Update }> {
  let update: Update | undefined
  const { registry } = needs
  const ended = (outcome: UpdateEnd['outcome']): UpdateEnd & { update: Update } => {
    registry.endDeployment(update!.deployment, outcome)
    const { reason = null, lastLines = [] } = registry.deployment(update!.deployment) ?? {}
    return { outcome, reason, lastLines, update: update! }
  }
  try {
    const { outcome } = await carryOut<Update>(needs, {
      folder,
      name: planName(place),
      begin: () => {
        const begun = begin()
        registry.beginDeployment(begun.deployment, begun.place, begun.image)
        return begun
      },
      steps: (input) => {
        update = input
        return input.steps.map((step) => new Deed(needs, input, step, say, signal).step())
      },
      signal,
    })
    return ended(outcome === 'done' ? 'deployed' : wentBack(update!))
  } catch (error) {
    const { code, message } = asFault(error)
    if (code !== 'steps.undone' || !update) throw error
    if ((registry.deployment(update.deployment)?.reason ?? null) === null) registry.explainDeployment(update.deployment, message, [])
    return ended(wentBack(update))
  }
}

function wentBack({ ran }: Update): UpdateEnd['outcome'] {
  return ran.length > 0 ? 'rolled-back' : 'failed'
}

function planName({ service, component }: Place): string {
  return `deploy-${service}.${component}`
}

/** The places where a deployment was cut. */
export function unfinishedUpdates(folder: string): readonly Place[] {
  return namesIn(folder).flatMap((file) => {
    const [, service, component] = /^deploy-([a-z0-9-]+)\.([a-z0-9-]+)\.plan\.json$/.exec(file) ?? []
    return service === undefined || component === undefined ? [] : [{ service, component }]
  })
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // nothing was ever deployed
  }
}

/** One step of the plan with its proof, which is always asked of the runtime. */
class Deed {
  readonly #needs: UpdateNeeds
  readonly #update: Update
  readonly #step: UpdateStep
  readonly #say: SayStep
  readonly #signal: AbortSignal

  constructor(needs: UpdateNeeds, update: Update, step: UpdateStep, say: SayStep, signal: AbortSignal) {
    this.#needs = needs
    this.#update = update
    this.#step = step
    this.#say = say
    this.#signal = signal
  }

  step(): Step {
    const { do: name } = this.#step
    const made = this.#made()
    return {
      name,
      ...made,
      do: () => {
        this.#say(name, words[name])
        return made.do()
      },
    }
  }

  #made(): Omit<Step, 'name'> {
    const { runtime, registry } = this.#needs
    const { place, component, image, deployment, ran, before } = this.#update
    const step = this.#step
    let found: Container | undefined // by `isDone`, which is asked just before `do`
    switch (step.do) {
      case 'create-next':
        return {
          isDone: async () => (await this.#next()) !== undefined,
          do: async () => void (await runtime.create(specOf(place, component, image, deployment))),
          undo: async () => {
            const next = await this.#next()
            if (next) await runtime.remove(next.id)
          },
        }
      case 'stop-before':
        return {
          isDone: async () => (await this.#those(step.ids)).every(({ state }) => state !== 'running'),
          do: async () => {
            for (const id of step.ids) await runtime.stop(id, component.stop_within)
          },
          undo: async () => {
            const there = await this.#those(ran)
            for (const { id, state } of there) if (state !== 'running') await runtime.start(id)
          },
        }
      case 'start-next':
        return {
          isDone: async () => (found = await this.#next())?.state !== 'created',
          do: async () => runtime.start(found!.id),
          undo: async () => {
            const next = await this.#next()
            if (next) await runtime.stop(next.id, component.stop_within)
          },
        }
      case 'await-health':
        return this.#awaitHealth()
      case 'record':
        return {
          isDone: () => registry.current(place)?.deployment === deployment,
          do: () => registry.setCurrent(place, { ...image, deployment }),
          undo: () => registry.setCurrent(place, before),
        }
      case 'remove-before':
        return {
          isDone: async () => (await this.#those(step.ids)).length === 0,
          do: async () => {
            for (const id of step.ids) await runtime.remove(id)
          },
        }
      case 'name-next':
        return {
          // somebody took it away meanwhile: there is nothing to name, and the node makes it anew
          isDone: async () => ((found = await this.#next())?.name ?? step.name) === step.name,
          do: async () => runtime.rename(found!.id, step.name),
        }
    }
  }

  async #next(): Promise<Container | undefined> {
    const [next] = await this.#needs.runtime.list(labelsOf(this.#update.place, this.#update.deployment))
    return next
  }

  async #mustHaveNext(): Promise<Container> {
    const next = await this.#next()
    if (!next) throw fault.no_container({ id: this.#update.deployment })
    return next
  }

  async #those(ids: readonly string[]): Promise<readonly Container[]> {
    return (await this.#needs.runtime.list()).filter(({ id }) => ids.includes(id))
  }

  /** Nothing is done but to wait, so there is nothing to take back; after a stop it is waited for anew. */
  #awaitHealth(): Omit<Step, 'name'> {
    const { clock, registry, runtime, health } = this.#needs
    const { place, component, deployment } = this.#update
    let isWell = false
    const wait = async (): Promise<void> => {
      const withinMs = component.health?.within ?? 60_000
      const from = clock.mono()
      const restartsAtStart = (await this.#mustHaveNext()).restarts
      let reason = 'it was not asked'
      let end: string | undefined // one that ends and is started again says more by how it ended than by what it does not answer meanwhile
      for (;;) {
        const next = await this.#next()
        if (!next) throw fault.no_container({ id: deployment })
        const isUp = next.state === 'running' && next.restarts === restartsAtStart
        if (hasHealth(component)) {
          const verdict = await health(component, next, this.#signal)
          if (verdict.health === 'healthy' || verdict.health === 'sealed') return
          if (next.state !== 'running') end = verdict.reason
          reason = isUp ? verdict.reason : (end ?? verdict.reason)
        } else if (isUp && clock.mono() - from >= settleMs) return
        else if (!isUp) reason = next.exitCode === undefined ? 'it was started again and again' : `it ended with exit code ${next.exitCode}`
        if (clock.mono() - from >= withinMs || (!isUp && isHopeless(component, next))) {
          const lastLines = await linesOf(runtime, next.id, this.#signal)
          registry.explainDeployment(deployment, reason, lastLines)
          throw fault.unhealthy({ place: placeText(place), reason, withinMs, lastLines })
        }
        await clock.wait(askEveryMs, this.#signal)
      }
    }
    return {
      isDone: () => isWell,
      do: async () => {
        await wait()
        isWell = true
      },
      undo: () => {},
    }
  }
}

/** It ended, and nothing starts it again. */
function isHopeless({ restart }: Component, { state, exitCode, restarts }: Container): boolean {
  if (state !== 'exited') return false
  if (restart.policy === 'no') return true
  return restart.policy === 'on-failure' && (exitCode === 0 || (restart.most > 0 && restarts >= restart.most))
}

/** What it printed last; nothing when that cannot be had: it is asked for to explain, not to decide. */
async function linesOf(runtime: Runtime, id: string, signal: AbortSignal): Promise<readonly string[]> {
  const lines: string[] = []
  try {
    for await (const { text } of runtime.logs(id, { tail: keptLines }, signal)) lines.push(text.slice(0, 1_000))
  } catch {
    // told without them
  }
  return lines.slice(-keptLines)
}

const words: Readonly<Record<UpdateStep['do'], string>> = {
  'create-next': 'make the new container',
  'stop-before': 'stop the old one',
  'start-next': 'start the new one',
  'await-health': 'wait until it is well',
  record: 'keep what was deployed',
  'remove-before': 'remove the old one',
  'name-next': 'give it its name',
}
