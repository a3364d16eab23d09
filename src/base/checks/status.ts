// How everything on a machine stands at this moment: a section for each capability, asked all at once, so that one that hangs holds up nobody.
import { hostname } from 'node:os'
import { deadline } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Context, Home } from '../terminal/command.ts'

/** `off`: it does not run here, or is not used, which is no failure. `unknown`: it could not be told, which is one. */
export type Standing = 'good' | 'bad' | 'unknown' | 'off'

/** One thing. Its texts may have come from outside: show them as text. */
export type StatusLine = {
  /** What it is: `gate`, `service web`. Unique in its section. */
  readonly name: string
  readonly standing: Standing
  /** How it stands, in words and numbers. */
  readonly text: string
  /** The next thing to do, as a command where there is one. */
  readonly remedy?: string | undefined
}

/** Something that went wrong, or was refused. */
export type StatusEvent = {
  /** ms since 1970. */
  readonly at: number
  /** Where: a service, a principal, a connector. */
  readonly about: string
  readonly text: string
}

export type StatusSection = {
  /** The capability: `gate`. */
  readonly name: string
  /** As a person calls it: `Gate`. */
  readonly title: string
  /** The worst of its lines; `off` when all of it is. */
  readonly standing: Standing
  readonly lines: readonly StatusLine[]
}

export type Status = {
  /** ms since 1970. */
  readonly at: number
  readonly machine: string
  readonly version: string
  /** Of all sections. Good and off are well. */
  readonly standing: Standing
  readonly sections: readonly StatusSection[]
  /** Of all capabilities, newest first. */
  readonly events: readonly (StatusEvent & { readonly capability: string })[]
}

export type LookNeeds = Pick<Context, 'clock' | 'env' | 'peers'> & {
  /** Where this capability's daemons may have their files. */
  readonly homes: readonly Home[]
  /** Aborted when the time for looking is over: what is known by then should have been returned. */
  readonly signal: AbortSignal
}

/** What one capability tells of itself: the default export of its `status.ts`. */
export type StatusSource = {
  readonly title: string
  look(needs: LookNeeds): Promise<{ readonly lines: readonly StatusLine[]; readonly events?: readonly StatusEvent[] }>
}

/** A source as the generated list knows it. */
export type StatusEntry = { readonly owner: string; load(): Promise<{ readonly default: StatusSource }> }

/** Each daemon has so long to answer: less than `lookMs`, so that a source can tell which one did not. */
export const patienceMs = 500
/** After so long a source is not waited for. */
const lookMs = 650
const maxEvents = 20

/** Looks at everything at once, for less than a second. Rejects with the signal's reason only; whatever else goes wrong is a line. */
export async function lookAround(
  { clock, env, peers, homes, version, signal }: Pick<Context, 'clock' | 'env' | 'peers' | 'homes' | 'version' | 'signal'>,
  entries: readonly StatusEntry[],
): Promise<Status> {
  const at = clock.now()
  const sources = await Promise.all(entries.map(async ({ owner, load }) => ({ owner, source: (await load()).default })))
  const over = deadline(clock, lookMs, signal) // from here: a slow machine takes long to load them
  const looked = await Promise.all(sources.map((one) => sectionOf(one, { clock, env, peers, homes, signal: over })))
  signal.throwIfAborted()
  const sections = looked.map(({ section }) => section)
  return {
    at,
    machine: hostname(),
    version,
    standing: worst(sections.map(({ standing }) => standing)),
    sections: sections.sort((a, b) => (a.title < b.title ? -1 : 1)),
    events: looked
      .flatMap(({ section: { name: capability }, events }) => events.map((event) => ({ ...event, capability })))
      .sort((a, b) => b.at - a.at)
      .slice(0, maxEvents),
  }
}

type Looked = { readonly section: StatusSection; readonly events: readonly StatusEvent[] }

type Loaded = { readonly owner: string; readonly source: StatusSource }

async function sectionOf({ owner: name, source }: Loaded, needs: LookNeeds): Promise<Looked> {
  const { signal } = needs
  const homes = needs.homes.filter(({ capability }) => capability === undefined || capability === name)
  const late = new Promise<never>((_, reject) => {
    const over = (): void => reject(signal.reason as Error)
    if (signal.aborted) over()
    signal.addEventListener('abort', over, { once: true })
  })
  const { lines, events = [] } = await Promise.race([source.look({ ...needs, homes }), late]).catch((error: unknown) => ({
    lines: [failed(error, name, signal)],
    events: [],
  }))
  return { section: { name, title: source.title, standing: worst(lines.map(({ standing }) => standing)), lines }, events }
}

function failed(error: unknown, name: string, over: AbortSignal): StatusLine {
  if (over.aborted) return { name, standing: 'unknown', text: `nothing was heard within ${lookMs / 1_000} s`, remedy: 'ask again' }
  const { message, hint } = asFault(error)
  return { name, standing: 'bad', text: message, ...(hint === undefined ? {} : { remedy: hint }) }
}

const order: readonly Standing[] = ['off', 'good', 'unknown', 'bad']

/** The worst of them; `off` when there is none. */
export function worst(standings: readonly Standing[]): Standing {
  return order[Math.max(0, ...standings.map((standing) => order.indexOf(standing)))]!
}
