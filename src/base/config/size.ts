// Sizes as people write them, `64KiB`, `8MiB` or plain bytes, and the one setting that every capability has of them: how large a message may be.
import { z } from 'zod'
import { faults } from '../../kernel/fault.ts'

const units: Readonly<Record<string, number>> = { '': 1, KiB: 1 << 10, MiB: 1 << 20, GiB: 1 << 30 }

/** The bytes of a size, or undefined when the text is none. */
function sizeBytesOf(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,15}) ?((?:[KMG]iB)?)$/.exec(text) ?? []
  return count === undefined ? undefined : Number(count) * units[unit!]!
}

/** As a person would write it: `8MiB`, `100000`. */
function sizeText(sizeBytes: number): string {
  const [unit, bytes] = Object.entries(units).findLast(([, one]) => sizeBytes >= one && sizeBytes % one === 0) ?? ['', 1]
  return `${sizeBytes / bytes}${unit}`
}

/** A key that takes a size and gives bytes. */
export function sizeBytes({ leastBytes, mostBytes }: { readonly leastBytes: number; readonly mostBytes: number }) {
  return z.union([z.int(), z.string()]).transform((given, context) => {
    const bytes = typeof given === 'number' ? given : sizeBytesOf(given)
    if (bytes !== undefined && bytes >= leastBytes && bytes <= mostBytes) return bytes
    const message =
      bytes === undefined
        ? 'must be a size such as 1048576, 512KiB or 8MiB'
        : `must be a size from ${sizeText(leastBytes)} to ${sizeText(mostBytes)}`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })
}

const frameSize = sizeBytes({ leastBytes: 64 << 10, mostBytes: 64 << 20 })

/** `max_frame_bytes`: the largest message, from 64 KiB to 64 MiB. Each hop has its own; the smallest on the way decides. */
export const maxFrameBytes = frameSize
  .prefault('8MiB')
  .describe('The largest message (64KiB to 64MiB). Each hop on the way has such a limit, and the smallest decides.')

const fault = faults('size', {
  invalid: (d: { flag: string; problem: string }) => ({
    kind: 'usage',
    message: `--${d.flag}: it ${d.problem}`,
    hint: `such as: --${d.flag} 64MiB`,
  }),
})

/** The same as a flag of a command. */
export const maxFrameBytesFlag = {
  'max-frame-bytes': {
    value: 'SIZE',
    default: '8MiB',
    summary: 'the largest message, from 64KiB to 64MiB; the smallest limit on the way decides',
  },
} as const

/** The bytes that the flag says; fault `size.invalid`. */
export function maxFrameBytesOf(flags: { readonly 'max-frame-bytes': string }): number {
  const { data, error } = frameSize.safeParse(flags['max-frame-bytes'])
  if (error) throw fault.invalid({ flag: 'max-frame-bytes', problem: error.issues[0]!.message })
  return data
}
