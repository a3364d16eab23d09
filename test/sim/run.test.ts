// Thousands of lives of one machine: whatever fails, is late or is killed, everything comes to be as it should, once.
import { expect, test } from 'vitest'
import { play } from './fleet.ts'

const isLong = Boolean(process.env['FAIRLEAD_LONG'])
const seeds = isLong ? 10_000 : 200
const first = Number(process.env['SEED'] ?? 1)

test(`${seeds} seeds: after any trouble one container a place, as it should be`, { timeout: isLong ? 7_200_000 : 600_000 }, async () => {
  for (let seed = first; seed < first + seeds; seed++) {
    const { problems, story } = await play(seed)
    expect(problems, `SEED=${seed}\n${story.join('\n')}`).toEqual([])
  }
})
