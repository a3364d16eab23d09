// What nodes say, as a person reads it: short digests, versions, ages, and a row for a node that says nothing.
import { durationText, sizeText } from '../../base/terminal/amount.ts'
import type { Terminal } from '../../base/terminal/terminal.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { outside } from '../../kernel/fault.ts'
import type { Asked } from './nodes.ts'

/** `sha256:` and 12 hex digits tell two images apart. */
export function digestText(digest: string | null | undefined): string {
  return digest ? digest.replace(/^(sha256:)?([0-9a-f]{12})[0-9a-f]*$/, '$2') : '-'
}

/** The tag of an image, or the digest it was asked for by. */
export function versionText(reference: string): string {
  const [name, digest] = reference.split('@')
  return /:([^:/]+)$/.exec(name!)?.[1] ?? digestText(digest)
}

/** Seconds are enough; UTC, as the log of the node says it. */
export function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`
}

export function ageText(nowMs: number, thenMs: number | null | undefined): string {
  return typeof thenMs === 'number' ? durationText(Math.max(0, (nowMs - thenMs) / 1_000)) : '-'
}

/** How a container stands, in one word: `exited(137)` with the reason to look for. */
export function stateText(
  container: { readonly state: string; readonly exitCode: number | null; readonly isStale: boolean } | null,
): string {
  if (!container) return 'missing'
  if (container.isStale) return 'stale'
  return container.state === 'exited' ? `exited(${container.exitCode ?? '?'})` : container.state
}

/** What is not as it should be: the cause, and the field that differs with both values. */
export function driftText({
  cause,
  field,
  desired,
  observed,
}: {
  readonly cause: string
  readonly field: string
  readonly desired: string
  readonly observed: string
}): string {
  return visibleText(`${cause}: ${field} is ${shortened(observed)}, not ${shortened(desired)}`)
}

function shortened(value: string): string {
  const short = value.replaceAll(/sha256:[0-9a-f]{64}/g, (digest) => `sha256:${digestText(digest)}`)
  return short.length > maxValueLength ? `${short.slice(0, maxValueLength)}…` : short
}

const maxValueLength = 100

/** Why a node is not there, and since when. One that answered with a refusal was heard. */
export function silenceText(nowMs: number, { fault, heardAt }: Extract<Asked<unknown>, { readonly heardAt: unknown }>): string {
  const age = fault.kind !== 'unavailable' ? '' : heardAt === undefined ? '; never heard' : `; last heard ${ageText(nowMs, heardAt)} ago`
  return visibleText(`${fault.message}${age}`).replaceAll('\n', ' ')
}

/** The same for programs. */
export function silence(asked: Asked<unknown>): object | undefined {
  if (!asked.fault) return undefined
  const { code, kind, message } = asked.fault
  return { node: asked.node.name, isHeard: false, code, kind, reason: message, heardAt: asked.heardAt ?? null }
}

/** Says what to do about nodes that do not answer, each thing once, and gives the exit code of the worst: 0 when all did. */
export function afterSilence(terminal: Terminal, answers: readonly Asked<unknown>[]): number {
  const silent = answers.flatMap(({ node, fault }) => (fault ? [{ node: node.name, fault }] : []))
  for (const [hint, of] of Map.groupBy(silent, ({ fault }) => fault.hint)) {
    if (hint === undefined) continue
    const names = of.slice(0, maxNames).map(({ node }) => node)
    const more = of.length > maxNames ? ` and ${of.length - maxNames} more` : ''
    terminal.note(`hint: ${names.join(', ')}${more}: ${visibleText(hint)}`)
  }
  return Math.max(0, ...silent.map(({ fault }) => outside[fault.kind].exitCode))
}

const maxNames = 5

type Progress = {
  readonly component: string
  readonly step: string
  readonly text: string
  readonly doneBytes?: number | undefined
  readonly ofBytes?: number | undefined
}

/** Shows each step on a terminal, the last one replacing the one before. */
export function onProgress(terminal: Terminal): (item: Progress) => void {
  return ({ component, step, text, doneBytes, ofBytes }) => {
    const bytes = doneBytes === undefined ? '' : ` ${sizeText(doneBytes)}${ofBytes === undefined ? '' : ` of ${sizeText(ofBytes)}`}`
    terminal.progress(visibleText(`${component}: ${step}: ${text}${bytes}`).replaceAll('\n', ' '))
  }
}

/** Nobody takes a simulated result for a real one. */
export function simulatedText(isSimulated: boolean): string {
  return isSimulated ? ' (simulated: nothing really runs)' : ''
}
