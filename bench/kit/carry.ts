// Brings a file to the other side by a command, and times it from its start to its end.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { childEnv } from './children.ts'

/** `isPiped`: the command reads the file from its stdin. */
export type Carrier = {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly arrived: string
  readonly isPiped: boolean
}

/** Makes a file of random bytes. */
export function writeRandom(path: string, sizeBytes: number): void {
  const file = openSync(path, 'w')
  for (let left = sizeBytes; left > 0; left -= 1e6) writeSync(file, randomBytes(Math.min(left, 1e6)))
  closeSync(file)
}

/** Seconds; throws unless all of it is there at the end. What arrived is removed. */
export async function carryFile({ argv, env, arrived, isPiped }: Carrier, path: string, sizeBytes: number): Promise<number> {
  const input = isPiped ? openSync(path, 'r') : undefined
  const from = performance.now()
  const child = spawn(argv[0]!, argv.slice(1), { env: { ...childEnv, ...env }, stdio: [input ?? 'ignore', 'ignore', 'inherit'] })
  const [exitCode] = (await once(child, 'exit')) as [number | null]
  const seconds = (performance.now() - from) / 1000
  if (input !== undefined) closeSync(input)
  const found = statSync(arrived, { throwIfNoEntry: false })?.size
  if (exitCode !== 0 || found !== sizeBytes) throw new Error(`${argv.slice(0, 3).join(' ')}: exit ${exitCode}, ${found} bytes arrived`)
  rmSync(arrived)
  return seconds
}
