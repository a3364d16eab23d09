// Plays a page of docs/runbooks on hosts of its own, a test for each section, and says which requirements of the runbook no step has proved.
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stepsOf } from '../script/document.ts'
import { type Acts, type Player, createPlayer } from '../script/play.ts'
import { type Stage, createStage, obstacle } from '../script/stage.ts'
import type { Requirement } from './requirement.ts'

const root = resolve(import.meta.dirname, '../..')

export type Page = {
  /** Of the runbook, and of our page. */
  readonly file: string
  readonly hosts: readonly string[]
  /** Programs that the page needs besides those of the stage. */
  readonly tools: readonly string[]
  /** What else keeps it from being played. */
  readonly missing?: string | undefined
  readonly acts: Acts
  /** Where it is played; network namespaces by default. */
  readonly place?: { obstacle(tools: readonly string[]): string | undefined; create(hosts: readonly string[]): Promise<Stage> }
  readonly requirements: readonly Requirement[]
  /** What `<NAME>` stands for from the start, besides `checkout` and the hosts' addresses by their names. */
  given?(addresses: Readonly<Record<string, string>>): Readonly<Record<string, string>>
}

export function playPage({ file, hosts, tools, missing: other, acts, requirements, given, place }: Page): void {
  const page = `docs/runbooks/${file}`
  const missing =
    (place?.obstacle ?? obstacle)(tools) ??
    other ??
    (existsSync(join(root, 'dist/main.js')) ? undefined : 'dist/ is not built: npm test does it')
  const steps = stepsOf(readFileSync(join(root, page), 'utf8'))
  let stage: Stage | undefined
  let player: Player | undefined
  let failed: string | undefined

  /** Sets the stage with nothing on it. */
  const raise = async (): Promise<void> => {
    await stage?.close()
    stage = await (place?.create ?? createStage)(hosts)
    const addresses = Object.fromEntries([...stage.hosts].map(([name, { address }]) => [name, address]))
    player = createPlayer(stage, acts, { ...addresses, ...given?.(addresses), checkout: root })
  }
  const playSection = async (section: string): Promise<void> => {
    for (const step of steps.filter((one) => one.section === section)) await player!.play(step)
  }

  beforeAll(async () => {
    if (missing === undefined) await raise()
  })
  afterAll(() => stage?.close())

  const sections = [...new Set(steps.map(({ section }) => section))]

  describe(page, () => {
    test.for(sections)('%s', { timeout: 300_000 }, async (section, { skip }) => {
      if (missing !== undefined) skip(missing)
      if (failed !== undefined && failed !== section) skip(`"${failed}" failed before it`)
      if (failed === section) {
        // Tried once more: from the first line of the page, as its reader would.
        await raise()
        for (const earlier of sections.slice(0, sections.indexOf(section))) await playSection(earlier)
      }
      failed = section
      await playSection(section)
      failed = undefined
    })

    test('each requirement of the runbook was proved by a step that was played', ({ skip }) => {
      const unproved = requirements.filter(({ id }) => !player?.proved.has(id))
      const told = unproved.map(({ line, id, quote }) => `${file}:${line} ${id}: ${quote}`)
      if (missing !== undefined) {
        for (const one of told) console.log(`unproved: ${one}`)
        skip(`${told.length} requirements are unproved: ${missing}`) // which CI does not accept
      }
      expect(told).toEqual([])
    })
  })
}
