// Random mutations of good input to every decoder of bytes from outside, for a time, from a seed that is printed: a value or a fault, and nothing else.
// `FAIRLEAD_SEED` repeats a run, `FAIRLEAD_LONG` takes a minute for each decoder.
import process from 'node:process'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { Fault } from '../src/kernel/fault.ts'
import { decoders } from './fuzz/decoders.ts'
import { mutated, randomFrom } from './fuzz/mutate.ts'

const seed = Number(process.env['FAIRLEAD_SEED'] ?? Date.now() % 2 ** 32)
const forMs = process.env['FAIRLEAD_LONG'] ? 60_000 : 700
/** No input of 64 KiB may hold a decoder up so long. */
const slowMs = 2_000
console.log(`fuzz: FAIRLEAD_SEED=${seed}`)

test.each(decoders)('$name', { timeout: forMs + 60_000 }, async ({ samples, decode, throws }) => {
  for (const sample of samples) await decode(Buffer.from(sample))
  const random = randomFrom(seed)
  const until = performance.now() + forMs
  for (let n = 0; performance.now() < until; n++) {
    const bytes = mutated(samples, random)
    const from = process.cpuUsage()
    let thrown: unknown
    try {
      await decode(Buffer.from(bytes))
    } catch (error) {
      thrown = error
    }
    const { user, system } = process.cpuUsage(from)
    const input = (): string => `seed ${seed}, input ${n}, base64 ${bytes.toString('base64')}`
    if (thrown !== undefined && !(thrown instanceof Fault) && !(throws && (thrown as Error).constructor === throws))
      throw new Error(`no fault, but ${inspect(thrown)}: ${input()}`, { cause: thrown })
    if (thrown instanceof Fault && thrown.kind === 'bug') throw new Error(`a bug: ${input()}`, { cause: thrown })
    if ((user + system) / 1_000 > slowMs) throw new Error(`${(user + system) / 1_000} ms: ${input()}`)
  }
  expect(performance.now()).toBeGreaterThanOrEqual(until)
})
