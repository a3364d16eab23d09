// The definitions of tools that were accepted, kept over restarts, and what is held back because it is another one, new, or suspicious.
import { hash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Bucket } from '../../base/kv/kv.ts'
import type { Ledger } from '../../base/ledger/ledger.ts'
import { type Span, asBuffer } from '../../base/wire/frame.ts'
import { fault } from '../faults.ts'
import { type Definition, definitionAt } from './definition.ts'
import { skeleton } from './skeleton.ts'
import { suspicionsOf } from './suspicion.ts'

export type PinSettings = {
  /** What becomes of a tool that a server did not have before: pinned as it is, held back, or nothing is pinned at all. */
  readonly newTools: 'pin' | 'quarantine' | 'trust'
  /** What becomes of a suspicious one at first sight. */
  readonly suspiciousTools: 'quarantine' | 'report'
  /** Fingerprints that the configuration itself demands, by tool. */
  readonly fingerprints: Readonly<Record<string, string>>
}

export const defaultPins: PinSettings = { newTools: 'pin', suspiciousTools: 'quarantine', fingerprints: {} }

/** A definition; its text is left out where it is too long to be kept. */
type Held = { readonly fingerprint: string; readonly text: string | undefined }

type Tool = {
  accepted: Held | undefined
  /** As the server listed it last: the digest of its bytes tells whether it must be looked at again. */
  listed: (Held & { readonly digest: string; readonly reasons: readonly string[] }) | undefined
}

/** A tool that is neither listed nor called before a person accepts it. */
export type HeldTool = {
  readonly upstream: string
  readonly tool: string
  readonly fingerprint: string
  readonly reasons: readonly string[]
  readonly before: string | undefined
  readonly now: string
}

const maxTools = 2_000
const maxKeptText = 48_000
const knownKey = 'known'

export type PinsNeeds = { readonly bucket: Bucket; readonly ledger: Ledger; readonly clock: Clock; readonly log: Log }

/** The pins of all upstreams: a name that one has is nobody else's. */
export class Pins {
  readonly #needs: PinsNeeds
  readonly #upstreams = new Map<string, UpstreamPins>()
  readonly #names = new Map<string, Set<string>>()
  #saving: Promise<void> = Promise.resolve()

  constructor(needs: PinsNeeds, settings: Readonly<Record<string, PinSettings>>) {
    this.#needs = needs
    for (const [name, one] of Object.entries(settings)) this.#upstreams.set(name, new UpstreamPins(this, name, one))
  }

  get log(): Log {
    return this.#needs.log
  }

  /** Reads what earlier processes accepted. Called before anything else; fault `kv.unavailable`. */
  async load(): Promise<void> {
    for await (const { key, value } of this.#needs.bucket.list()) {
      const [upstream = '', what] = key.split('/')
      const pins = this.#upstreams.get(upstream)
      if (what === knownKey) pins?.setKnown()
      else pins?.restore(JSON.parse(Buffer.from(value).toString('utf8')) as { tool: string } & Held)
    }
  }

  of(upstream: string): UpstreamPins {
    return this.#upstreams.get(upstream)!
  }

  held(): readonly HeldTool[] {
    return [...this.#upstreams.values()].flatMap((pins) => pins.held())
  }

  /** Makes what the server lists now under this name the accepted definition. Faults: `gate.no_held_tool`, `gate.tool_changed`, `gate.tool_configured`, `kv.*`, `ledger.*`. */
  async accept(upstream: string, tool: string, fingerprint: string): Promise<void> {
    const pins = this.#upstreams.get(upstream)
    const held = pins?.held().find((one) => one.tool === tool)
    if (!pins || !held) throw fault.no_held_tool({ upstream, tool })
    if (held.fingerprint !== fingerprint) throw fault.tool_changed({ upstream, tool })
    await this.record('tool.accepted', upstream, { name: tool, fingerprint, was: pins.acceptedOf(tool)?.fingerprint })
    await this.save(`${upstream}/${keyOf(tool)}`, pins.accept(tool, fingerprint))
  }

  /** Pinned tools of other upstreams, with another definition, whose names look like this one; and those of the same upstream with another name. */
  alike(upstream: string, { name, fingerprint }: Definition): readonly string[] {
    return [...(this.#names.get(skeleton(name)) ?? [])].flatMap((one) => {
      const [otherUpstream, other] = JSON.parse(one) as [string, string]
      const isSame = otherUpstream === upstream ? other === name : this.of(otherUpstream).acceptedOf(other)?.fingerprint === fingerprint
      return isSame ? [] : [`${JSON.stringify(other)} of ${otherUpstream}`]
    })
  }

  named(upstream: string, tool: string): void {
    const key = skeleton(tool)
    const names = this.#names.get(key) ?? new Set()
    this.#names.set(key, names.add(JSON.stringify([upstream, tool])))
  }

  async record(event: string, upstream: string, more: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#needs.ledger.append({ event, upstream, ...more })
  }

  /** Tells of something that happened anyway: a ledger that cannot be written says so by itself. */
  note(event: string, upstream: string, more: Readonly<Record<string, unknown>>): void {
    this.record(event, upstream, more).catch(() => {})
  }

  /** One after the other. A pin that cannot be kept now holds until the gate ends. */
  keep(key: string, value: object): void {
    this.save(key, value).catch((error: unknown) => this.log.warn('gate.pin.unsaved', { error: asFault(error) }))
  }

  keepTool(upstream: string, tool: string, held: Held): void {
    this.keep(`${upstream}/${keyOf(tool)}`, { tool, ...held })
  }

  keepKnown(upstream: string): void {
    this.keep(`${upstream}/${knownKey}`, {})
  }

  save(key: string, value: object): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(value))
    const { bucket } = this.#needs
    const saved = this.#saving.then(async () => {
      const present = await bucket.get(key)
      if (present) await bucket.update(key, bytes, present.revision)
      else await bucket.create(key, bytes)
    })
    this.#saving = saved.catch(() => {})
    return saved
  }

  /** Resolves when all that was accepted is kept. */
  close(): Promise<void> {
    return this.#saving
  }
}

function keyOf(tool: string): string {
  return hash('sha256', tool, 'base64url')
}

/** The pins of one upstream. */
export class UpstreamPins {
  readonly #all: Pins
  readonly #upstream: string
  readonly #settings: PinSettings
  readonly #tools = new Map<string, Tool>()
  /** By the bytes that each was listed with last, so that a list that did not change costs no more than its digests. */
  readonly #byDigest = new Map<string, Tool>()
  /** The whole list was seen once: what comes later is new. */
  #isKnown = false
  #isFull = false

  constructor(all: Pins, upstream: string, settings: PinSettings) {
    this.#all = all
    this.#upstream = upstream
    this.#settings = settings
    for (const [tool, fingerprint] of Object.entries(settings.fingerprints)) this.#add(tool, { fingerprint, text: undefined })
  }

  /** False: whatever the server lists is as good as accepted. */
  get isOn(): boolean {
    return this.#settings.newTools !== 'trust'
  }

  setKnown(): void {
    this.#isKnown = true
  }

  restore({ tool, fingerprint, text }: { tool: string } & Held): void {
    if (!Object.hasOwn(this.#settings.fingerprints, tool)) this.#add(tool, { fingerprint, text })
  }

  acceptedOf(tool: string): Held | undefined {
    return this.#tools.get(tool)?.accepted
  }

  /** True when the server listed it in this process's life. */
  hasSeen(tool: string): boolean {
    return this.#tools.get(tool)?.listed !== undefined
  }

  /** Why it may not be called; undefined when it may, or is in no list. */
  refusal(tool: string): string | undefined {
    const known = this.#tools.get(tool)
    if (!known || isUsable(known)) return undefined
    return `${tool} of ${this.#upstream} is in quarantine: ${known.listed!.reasons.join('; ')}`
  }

  /** Takes a look at one element of a list: whether it may be shown. */
  look(bytes: Uint8Array, span: Span): boolean {
    const digest = hash('sha256', asBuffer(bytes).subarray(...span), 'base64url')
    const unchanged = this.#byDigest.get(digest)
    if (unchanged) return isUsable(unchanged)
    const definition = definitionAt(bytes, span)
    if (!definition) return false // nobody can call what has no name
    const present = this.#tools.get(definition.name)
    if (!present && this.#tools.size >= maxTools) {
      if (!this.#isFull) this.#all.log.warn('gate.tools.too_many', { upstream: this.#upstream, max: maxTools })
      this.#isFull = true
      return false
    }
    const tool = present ?? { accepted: undefined, listed: undefined }
    this.#tools.set(definition.name, tool)
    this.#judge(tool, definition, digest)
    return isUsable(tool)
  }

  /** The whole list was seen. */
  complete(): void {
    if (this.#isKnown) return
    this.#isKnown = true
    this.#all.keepKnown(this.#upstream)
  }

  held(): readonly HeldTool[] {
    return [...this.#tools].flatMap(([tool, known]) => {
      if (isUsable(known)) return []
      const { fingerprint, text = '{}', reasons } = known.listed!
      return [{ upstream: this.#upstream, tool, fingerprint, reasons, before: known.accepted?.text, now: text }]
    })
  }

  accept(tool: string, fingerprint: string): { tool: string } & Held {
    if (Object.hasOwn(this.#settings.fingerprints, tool)) throw fault.tool_configured({ upstream: this.#upstream, tool })
    const { text } = this.#tools.get(tool)!.listed!
    this.#add(tool, { fingerprint, text })
    this.#all.log.info('gate.tool.accepted', { upstream: this.#upstream, tool, fingerprint })
    return { tool, fingerprint, text: kept(text) }
  }

  #add(tool: string, held: Held): void {
    const present = this.#tools.get(tool)
    if (present) present.accepted = held
    else this.#tools.set(tool, { accepted: held, listed: undefined })
    this.#all.named(this.#upstream, tool)
  }

  #judge(tool: Tool, definition: Definition, digest: string): void {
    const { name, fingerprint, text } = definition
    const before = tool.listed
    const suspicions =
      tool.accepted?.fingerprint === fingerprint ? [] : suspicionsOf(definition, this.#all.alike(this.#upstream, definition))
    const reasons = this.#reasons(tool, definition, suspicions)
    if (before) this.#byDigest.delete(before.digest)
    this.#byDigest.set(digest, tool)
    tool.listed = { fingerprint, text, digest, reasons }
    if (!tool.accepted && reasons.length === 0) this.#pin(name, definition, suspicions)
    else if (!isUsable(tool) && before?.fingerprint !== fingerprint) this.#report(name, tool, fingerprint)
    else if (isUsable(tool) && before && before.fingerprint !== fingerprint)
      this.#all.log.info('gate.tool.restored', { upstream: this.#upstream, tool: name })
  }

  #reasons({ accepted }: Tool, definition: Definition, suspicions: readonly string[]): readonly string[] {
    if (accepted) return accepted.fingerprint === definition.fingerprint ? [] : ['its definition has changed', ...suspicions]
    const isNew = this.#settings.newTools === 'quarantine' && this.#isKnown ? ['the server did not have it before'] : []
    return [...isNew, ...(this.#settings.suspiciousTools === 'quarantine' ? suspicions : [])]
  }

  #pin(name: string, { fingerprint, text }: Definition, suspicions: readonly string[]): void {
    this.#add(name, { fingerprint, text })
    this.#all.keepTool(this.#upstream, name, { fingerprint, text: kept(text) })
    this.#all.note('tool.pinned', this.#upstream, {
      name: name.slice(0, 512),
      fingerprint,
      ...(suspicions.length > 0 ? { suspicions } : {}),
    })
    if (suspicions.length > 0) this.#all.log.warn('gate.tool.suspicious', { upstream: this.#upstream, tool: name, suspicions })
  }

  #report(name: string, { accepted, listed }: Tool, fingerprint: string): void {
    const told = { fingerprint, was: accepted?.fingerprint, reasons: listed!.reasons }
    this.#all.note('tool.quarantined', this.#upstream, { name: name.slice(0, 512), ...told })
    this.#all.log.warn('gate.tool.quarantined', { upstream: this.#upstream, tool: name, ...told })
  }
}

/** What was never listed is not known to be anything else than what was accepted. */
function isUsable({ accepted, listed }: Tool): boolean {
  return listed === undefined || accepted?.fingerprint === listed.fingerprint
}

function kept(text: string | undefined): string | undefined {
  return text !== undefined && Buffer.byteLength(text) <= maxKeptText ? text : undefined
}
