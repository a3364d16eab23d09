// Deployments of a node: the image made sure of, the plan made and carried out, cut ones ended.
import { type Place, containerName, labelsOf, oursIn, placeText } from '../container.ts'
import { containersOf } from '../drift.ts'
import { fault } from '../faults.ts'
import { type UpdatePlan, planUpdate } from '../plan.ts'
import type { Container, PullProgress, ResolvedImage } from '../runtime.ts'
import type { Component } from '../service/config.ts'
import { missingAbilities } from '../abilities.ts'
import { type UpdateEnd, type UpdateNeeds, carryOutUpdate, unfinishedUpdates } from './update.ts'

export type Deployed = {
  readonly component: string
  readonly outcome: 'unchanged' | UpdateEnd['outcome']
  readonly image: ResolvedImage
  readonly reason: string | null
  readonly lastLines: readonly string[]
}
export type SayProgress = (component: string, step: string, text: string, bytes?: Pick<PullProgress, 'doneBytes' | 'ofBytes'>) => void

export type DeployingNeeds = UpdateNeeds & {
  readonly newId: () => string
  /** Refuses what is the node's own, and makes the data folder of a service where this component uses it and there is none: a runtime refuses to mount what is not there. */
  readonly prepare: (service: string, component: Component) => void
}

export class Deploying {
  readonly #needs: DeployingNeeds
  readonly #folder: string
  readonly #signal: AbortSignal

  /** `folder` holds the journals; `signal` stops what waits, to be gone on with after the next start. */
  constructor(needs: DeployingNeeds, folder: string, signal: AbortSignal) {
    this.#needs = needs
    this.#folder = folder
    this.#signal = signal
  }

  /** What a deployment would do. Nothing is fetched: without its image here, the image's name stands for what it is. */
  async plan(place: Place, component: Component): Promise<UpdatePlan> {
    const { runtime } = this.#needs
    const image = (await runtime.resolve(component.image)) ?? { reference: component.image, digest: 'to be fetched' }
    return planUpdate({ place, component, image, deployment: 'next' }, await runtime.list())
  }

  /**
   * Brings the component to its definition, made of `image`, or of what its name means now: fetched, recorded and used by its digest. One that was cut is ended first.
   * Faults: those of the runtime before anything is touched, `run.cannot`, `run.name_taken`, `steps.stuck`.
   */
  async deploy(
    place: Place,
    component: Component,
    { image, say, isRollback = false }: { readonly image?: ResolvedImage; readonly say: SayProgress; readonly isRollback?: boolean },
  ): Promise<Deployed> {
    const { runtime } = this.#needs
    await this.resume(place)
    const missing = missingAbilities(runtime, component)
    if (missing.length > 0) throw fault.cannot({ runtime: runtime.name, place: placeText(place), abilities: missing })
    const found = image ? await this.#have(image, component.name, say) : await this.#fetch(component, say)
    const observed = await runtime.list()
    const name = containerName(place)
    const stranger = observed.find((container) => container.name === name && placeTextOf(oursIn(container)?.place) !== placeText(place))
    if (stranger) throw fault.name_taken({ name })
    return this.#update(place, component, found, observed, { say, isRollback })
  }

  /** Makes a container that is not ours anew as ours, of the same image, with the way back that every deployment has: labels cannot be put on one that is there. */
  async takeOver(place: Place, component: Component, stranger: Container, say: SayProgress): Promise<Deployed> {
    const observed = (await this.#needs.runtime.list()).map((container) =>
      container.id === stranger.id ? { ...container, labels: { ...container.labels, ...labelsOf(place, 'adopted') } } : container,
    )
    return this.#update(place, component, stranger.image, observed, { say, isRollback: false })
  }

  async #update(
    place: Place,
    component: Component,
    image: ResolvedImage,
    observed: readonly Container[],
    { say, isRollback }: { readonly say: SayProgress; readonly isRollback: boolean },
  ): Promise<Deployed> {
    const { registry, newId } = this.#needs
    const deployment = newId()
    const plan = planUpdate({ place, component, image, deployment }, observed)
    const ours = containersOf(observed, place)
    const before = registry.current(place)
    if (plan.way === 'nothing') {
      if (before?.digest !== image.digest) registry.setCurrent(place, { ...image, deployment: ours[0]!.deployment })
      return { component: component.name, outcome: 'unchanged', image, reason: null, lastLines: [] }
    }
    this.#needs.prepare(place.service, component)
    const ran = ours.filter(({ container }) => container.state === 'running').map(({ container }) => container.id)
    const end = await carryOutUpdate(this.#needs, {
      folder: this.#folder,
      place,
      say: (step, text) => say(component.name, step, text),
      signal: this.#signal,
      begin: () => ({ place, component, image, deployment, steps: plan.steps, ran, ...(before ? { before } : {}) }),
    })
    this.#tell(place, end, isRollback)
    return { component: component.name, outcome: end.outcome, image: end.update.image, reason: end.reason, lastLines: end.lastLines }
  }

  /** Makes and starts the container as it was last deployed: it is missing. Fault besides: `run.not_made`. */
  async recreate(place: Place, component: Component): Promise<void> {
    const current = this.#needs.registry.current(place)
    const image = current && (await this.#have(current, component.name, () => {}))
    const { outcome, reason } = await this.deploy(place, component, { ...(image ? { image } : {}), say: () => {} })
    if (outcome === 'failed' || outcome === 'rolled-back')
      throw fault.not_made({ place: placeText(place), reason: reason ?? 'for no known reason' })
  }

  /** Ends what was cut at that place, if anything was. */
  async resume(place: Place): Promise<void> {
    if (!this.unfinished().some((one) => placeText(one) === placeText(place))) return
    const end = await carryOutUpdate(this.#needs, {
      folder: this.#folder,
      place,
      say: () => {},
      signal: this.#signal,
      begin: () => {
        throw new Error('the journal of a deployment is gone') // it was there a moment ago, and nobody else writes here
      },
    })
    this.#tell(place, end, false)
  }

  unfinished(): readonly Place[] {
    return unfinishedUpdates(this.#folder)
  }

  #tell(
    place: Place,
    { outcome, reason, update }: UpdateEnd & { readonly update: { readonly image: ResolvedImage } },
    isRollback: boolean,
  ): void {
    const { registry, log } = this.#needs
    const { reference, digest } = update.image
    const event =
      outcome === 'deployed' ? (isRollback ? 'rolled-back' : 'deployed') : outcome === 'failed' ? 'deploy-failed' : 'update-returned'
    registry.note(place, event, `${reference} ${digest.slice(0, 19)}${reason === null ? '' : `: ${reason}`}`)
    log[outcome === 'deployed' ? 'info' : 'warn']('run.deployment', { place: placeText(place), outcome, reference, digest, reason })
  }

  /** What the name means now. An image that says its digest, or is of this machine alone, is not asked for elsewhere when it is here. */
  async #fetch({ name, image }: Component, say: SayProgress): Promise<ResolvedImage> {
    const { runtime } = this.#needs
    const isFixed = image.includes('@sha256:') || image.startsWith('localhost/') || !runtime.can.has('images')
    const here = isFixed ? await runtime.resolve(image) : undefined
    if (here) return { ...here, reference: image }
    const found = await runtime.pull(image, (progress) => say(name, 'pull', progress.text, progress), this.#signal)
    return { ...found, reference: image }
  }

  /** That very image, fetched by its digest when it is not here any more. */
  async #have({ reference, digest }: ResolvedImage, name: string, say: SayProgress): Promise<ResolvedImage> {
    const { runtime } = this.#needs
    const byDigest = `${reference.replace(/@sha256:.*$/, '').replace(/:[\w][\w.-]*$/, '')}@${digest}`
    const here = (await runtime.resolve(byDigest)) ?? (await runtime.resolve(digest))
    if (!here) await runtime.pull(byDigest, (progress) => say(name, 'pull', progress.text, progress), this.#signal)
    return { reference, digest }
  }
}

function placeTextOf(place: Place | undefined): string | undefined {
  return place && placeText(place)
}
