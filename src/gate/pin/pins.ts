// The definitions of tools that were accepted, kept over restarts, and what is held back because it is another one, new, or suspicious.
import { hash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Bucket } from '../../base/kv/kv.ts'
import type { Ledger } from '../../base/ledger/ledger.ts'
import { type Span, asBuffer } from '../../base/wire/frame.ts'
import { fault } from '../faults.ts'
import { type Definition, definitionAt, fingerprintOf } from './definition.ts'
import { KeptPins } from './kept.ts'
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

/** A definition by its canonical form, which is left out where it is too long to be kept, or nobody will want to see it. */
type Held = { readonly fingerprint: string; readonly text: string | undefined }

/** One tool of one upstream. */
export type Tool = {
  readonly name: string
  accepted: Held | undefined
  /** As the server listed it last: the digest of its bytes tells whether it must be looked at again. */
  listed: (Held & { readonly digest: string; readonly reasons: readonly string[]; readonly isAmbiguous: boolean }) | undefined
  /** One list had two definitions of it, so that nobody knows which one a client takes. */
  isDoubled: boolean
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

const maxTools = 1_000
/** Of a canonical form: what a person can be shown, and kv takes. */
const maxTextBytes = 60_000

export type PinsNeeds = { readonly bucket: Bucket; readonly ledger: Ledger; readonly clock: Clock; readonly log: Log }

/** The pins of all upstreams: a name that one has is nobody else's. */
export class Pins {
  readonly #needs: PinsNeeds
  readonly #upstreams = new Map<string, UpstreamPins>()
  readonly #names = new Map<string, Set<string>>()
  readonly #kept: KeptPins

  constructor(needs: PinsNeeds) {
    this.#needs = needs
    this.#kept = new KeptPins(needs)
  }

  get log(): Log {
    return this.#needs.log
  }

  /** Reads what was accepted of these upstreams; what it returns takes them in place of those it has, at once. Called before anything else, and at each reload; fault `kv.unavailable`. */
  async prepare(upstreams: readonly { readonly name: string; readonly pins?: PinSettings }[]): Promise<() => void> {
    await this.saved()
    const known = new Set<string>()
    const texts: (readonly [upstream: string, text: string])[] = []
    for await (const { upstream, text } of this.#kept.all()) {
      if (text === undefined) known.add(upstream)
      else texts.push([upstream, text])
    }
    return () => {
      for (const name of this.#upstreams.keys()) if (!upstreams.some((one) => one.name === name)) this.#drop(name)
      for (const { name, pins: settings = defaultPins } of upstreams) {
        const pins = this.#upstreams.get(name) ?? new UpstreamPins(this, name)
        if (this.#upstreams.has(name) && pins.isSetTo(settings)) continue
        this.#drop(name)
        this.#upstreams.set(name, pins)
        if (known.has(name)) pins.setKnown()
        pins.take(
          settings,
          texts.filter(([upstream]) => upstream === name).map(([, text]) => text),
        )
      }
    }
  }

  #drop(upstream: string): void {
    this.#upstreams.delete(upstream)
    for (const names of this.#names.values())
      for (const one of names) if ((JSON.parse(one) as [string, string])[0] === upstream) names.delete(one)
  }

  of(upstream: string): UpstreamPins {
    return this.#upstreams.get(upstream)!
  }

  held(): readonly HeldTool[] {
    return [...this.#upstreams.values()].flatMap((pins) => pins.held())
  }

  /** Upstreams of which no tool is pinned. */
  get unpinned(): number {
    return [...this.#upstreams.values()].filter(({ isOn }) => !isOn).length
  }

  /** Makes what the server lists now under this name the accepted definition. Faults: `gate.no_held_tool`, `gate.tool_changed`, `gate.tool_unacceptable`, `kv.*`, `ledger.*`. */
  async accept(upstream: string, tool: string, fingerprint: string): Promise<void> {
    const pins = this.#upstreams.get(upstream)
    const held = pins?.held().find((one) => one.tool === tool)
    if (!pins || !held) throw fault.no_held_tool({ upstream, tool })
    if (held.fingerprint !== fingerprint) throw fault.tool_changed({ upstream, tool })
    const text = pins.acceptable(tool)
    await this.record('tool.accepted', upstream, { name: tool, fingerprint, was: pins.acceptedOf(tool)?.fingerprint })
    await this.#kept.save(upstream, tool, text)
    pins.accept(tool, { fingerprint, text })
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

  keepFirst(upstream: string, tool: string, text: string): void {
    this.#kept.keepFirst(upstream, tool, text, (first) => this.#upstreams.get(upstream)?.adopt(first))
  }

  keepKnown(upstream: string): void {
    this.#kept.keepKnown(upstream)
  }

  /** Takes what other gates pin and accept. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const { upstream, text } of this.#kept.changes(signal)) {
      const pins = this.#upstreams.get(upstream)
      if (text === undefined) pins?.setKnown()
      else pins?.adopt(text)
    }
  }

  /** Resolves when all that was accepted so far is kept, or cannot be. */
  saved(): Promise<void> {
    return this.#kept.saved()
  }
}

/** The pins of one upstream. */
export class UpstreamPins {
  readonly #all: Pins
  readonly #upstream: string
  #settings = defaultPins
  readonly #tools = new Map<string, Tool>()
  /** By the bytes that each was listed with last, so that a list that did not change costs no more than its digests. */
  readonly #byDigest = new Map<string, Tool>()
  /** The whole list was seen once: what comes later is new. */
  #isKnown = false
  #isFull = false

  constructor(all: Pins, upstream: string) {
    this.#all = all
    this.#upstream = upstream
  }

  isSetTo(settings: PinSettings): boolean {
    return JSON.stringify(this.#settings) === JSON.stringify(settings)
  }

  /** Takes these settings: the definitions in `kept`, and those accepted since those were read, are accepted under them too; what the server lists is looked at again. */
  take(settings: PinSettings, kept: readonly string[]): void {
    const since = [...this.#tools.values()].flatMap(({ accepted }) => accepted?.text ?? [])
    this.#settings = settings
    this.#tools.clear()
    this.#byDigest.clear()
    this.#isFull = false
    for (const [tool, fingerprint] of Object.entries(settings.fingerprints)) this.#add(tool, { fingerprint, text: undefined })
    for (const text of [...kept, ...since]) this.#restore(text)
  }

  /** False: whatever the server lists is as good as accepted. */
  get isOn(): boolean {
    return this.#settings.newTools !== 'trust'
  }

  setKnown(): void {
    this.#isKnown = true
  }

  /** Takes back a definition that was accepted. */
  #restore(text: string): void {
    const { name } = JSON.parse(text) as { readonly name: string }
    if (!Object.hasOwn(this.#settings.fingerprints, name)) this.#add(name, { fingerprint: fingerprintOf(text), text })
  }

  /** Takes a definition that another gate pinned or accepted; where the server here lists another one, that is held back. */
  adopt(text: string): void {
    const { name } = JSON.parse(text) as { readonly name: string }
    if (Object.hasOwn(this.#settings.fingerprints, name)) return
    const tool = this.#tools.get(name)
    const [before, held] = [tool?.accepted, { fingerprint: fingerprintOf(text), text }]
    if (before?.fingerprint === held.fingerprint) return
    this.#add(name, held)
    if (!tool?.listed || tool.listed.fingerprint === held.fingerprint) return
    tool.listed = { ...tool.listed, text: tool.listed.text ?? before?.text, reasons: ['another gate has it with another definition'] }
    this.#report(name, tool, tool.listed.fingerprint)
  }

  acceptedOf(tool: string): Held | undefined {
    return this.#tools.get(tool)?.accepted
  }

  /** True when the server listed it in this process's life. */
  hasSeen(tool: string): boolean {
    return this.#tools.get(tool)?.listed !== undefined
  }

  /** Why it may not be called; undefined when it may, or is in no list. `heldAs`: the fingerprint that it was held back with where the call goes. */
  refusal(tool: string, heldAs?: string): string | undefined {
    const known = this.#tools.get(tool)
    if (heldAs !== undefined && known?.accepted?.fingerprint !== heldAs && (!known || isUsable(known)))
      return `${tool} of ${this.#upstream} is in quarantine where this call goes: its definition there was not accepted`
    if (!known || isUsable(known)) return undefined
    return `${tool} of ${this.#upstream} is in quarantine: ${reasonsOf(known).join('; ')}`
  }

  /** Takes a look at the elements of a list: the tools they are, and which elements may be shown. */
  look(bytes: Uint8Array, elements: readonly Span[]): { readonly tools: readonly Tool[]; readonly shown: readonly Span[] } {
    const digests = new Map<Tool, string>()
    const doubled = new Set<Tool>()
    const tools = elements.map((span) => {
      const digest = hash('sha256', asBuffer(bytes).subarray(...span), 'base64url')
      const tool = this.#byDigest.get(digest) ?? this.#lookAt(bytes, span, digest)
      if (tool && (digests.get(tool) ?? digest) !== digest) doubled.add(tool)
      if (tool) digests.set(tool, digest)
      return tool
    })
    for (const tool of digests.keys()) tool.isDoubled = doubled.has(tool)
    return { tools: [...digests.keys()], shown: elements.filter((_, at) => tools[at] && isUsable(tools[at])) }
  }

  /** The tool that is defined there; undefined when it has no name, so that nobody can call it, or there are too many. */
  #lookAt(bytes: Uint8Array, span: Span, digest: string): Tool | undefined {
    const definition = definitionAt(bytes, span)
    if (!definition) return undefined
    const present = this.#tools.get(definition.name)
    if (!present && this.#tools.size >= maxTools) {
      if (!this.#isFull) this.#all.log.warn('gate.tools.too_many', { upstream: this.#upstream, max: maxTools })
      this.#isFull = true
      return undefined
    }
    const tool = present ?? { name: definition.name, accepted: undefined, listed: undefined, isDoubled: false }
    this.#tools.set(definition.name, tool)
    this.#judge(tool, definition, digest)
    return tool
  }

  /** Resolves when all that was accepted so far is kept, or cannot be: before a client acts on it. */
  saved(): Promise<void> {
    return this.#all.saved()
  }

  /** These tools were the whole list: what was held back and is not there any more is forgotten. The fingerprints of those that are held back, by name. */
  complete(tools: readonly Tool[]): ReadonlyMap<string, string> {
    const present = new Set(tools)
    for (const tool of this.#tools.values()) if (!isUsable(tool) && !present.has(tool)) this.#forget(tool)
    if (!this.#isKnown) this.#all.keepKnown(this.#upstream)
    this.#isKnown = true
    return new Map(tools.filter((tool) => !isUsable(tool)).map(({ name, listed }) => [name, listed!.fingerprint]))
  }

  #forget(tool: Tool): void {
    this.#byDigest.delete(tool.listed!.digest)
    tool.listed = undefined
    tool.isDoubled = false
    if (!tool.accepted) this.#tools.delete(tool.name)
  }

  held(): readonly HeldTool[] {
    return [...this.#tools].flatMap(([tool, known]) => {
      if (isUsable(known)) return []
      const { fingerprint, text = '{}' } = known.listed!
      return [{ upstream: this.#upstream, tool, fingerprint, reasons: reasonsOf(known), before: known.accepted?.text, now: text }]
    })
  }

  /** What a person would accept of a tool in quarantine, in its canonical form. Fault `gate.tool_unacceptable`. */
  acceptable(tool: string): string {
    const { listed, isDoubled } = this.#tools.get(tool)!
    const refuse = (why: Parameters<typeof fault.tool_unacceptable>[0]['why']): never => {
      throw fault.tool_unacceptable({ upstream: this.#upstream, tool, why })
    }
    if (listed?.isAmbiguous) return refuse('ambiguous')
    if (Object.hasOwn(this.#settings.fingerprints, tool)) return refuse('configured')
    if (isDoubled) return refuse('doubled')
    return listed?.text ?? refuse('long')
  }

  accept(tool: string, held: Held): void {
    this.#add(tool, held)
    this.#all.log.info('gate.tool.accepted', { upstream: this.#upstream, tool, fingerprint: held.fingerprint })
  }

  #add(tool: string, held: Held): void {
    const present = this.#tools.get(tool)
    if (present) present.accepted = held
    else this.#tools.set(tool, { name: tool, accepted: held, listed: undefined, isDoubled: false })
    this.#all.named(this.#upstream, tool)
  }

  #judge(tool: Tool, definition: Definition, digest: string): void {
    const { name, fingerprint } = definition
    const text = Buffer.byteLength(definition.text) <= maxTextBytes ? definition.text : undefined
    const before = tool.listed
    // What was accepted is the form: a spelling of it that other readers take for another one was not.
    const isAmbiguous = definition.ambiguity !== undefined && this.#settings.suspiciousTools === 'quarantine'
    const isAccepted = tool.accepted?.fingerprint === fingerprint && !isAmbiguous
    const suspicions = isAccepted ? [] : suspicionsOf(definition, this.#all.alike(this.#upstream, definition))
    const reasons = this.#reasons(tool, definition, text === undefined, suspicions)
    if (before) this.#byDigest.delete(before.digest)
    this.#byDigest.set(digest, tool)
    tool.listed = { fingerprint, text: reasons.length > 0 ? text : undefined, digest, reasons, isAmbiguous }
    if (!tool.accepted && reasons.length === 0 && text !== undefined) this.#pin(name, { fingerprint, text }, suspicions)
    else if (!isUsable(tool) && before?.fingerprint !== fingerprint) this.#report(name, tool, fingerprint)
    else if (isUsable(tool) && before && before.fingerprint !== fingerprint)
      this.#all.log.info('gate.tool.restored', { upstream: this.#upstream, tool: name })
  }

  #reasons({ accepted }: Tool, { fingerprint }: Definition, isLong: boolean, suspicions: readonly string[]): readonly string[] {
    const long = isLong ? [`its definition has more than ${maxTextBytes} bytes`] : []
    if (accepted) return accepted.fingerprint === fingerprint ? suspicions : ['its definition has changed', ...long, ...suspicions]
    const isNew = this.#settings.newTools === 'quarantine' && this.#isKnown ? ['the server did not have it before'] : []
    return [...isNew, ...long, ...(this.#settings.suspiciousTools === 'quarantine' ? suspicions : [])]
  }

  #pin(name: string, { fingerprint, text }: Held & { readonly text: string }, suspicions: readonly string[]): void {
    this.#add(name, { fingerprint, text })
    this.#all.keepFirst(this.#upstream, name, text)
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
function isUsable({ accepted, listed, isDoubled }: Tool): boolean {
  return listed === undefined || (accepted?.fingerprint === listed.fingerprint && !isDoubled && !listed.isAmbiguous)
}

function reasonsOf({ listed, isDoubled }: Tool): readonly string[] {
  return [...(isDoubled ? ['one list holds two definitions of it'] : []), ...listed!.reasons]
}
