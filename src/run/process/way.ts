// How a container of plain processes is run: its command found in its image, its variables, and the script that does the same for a server on our own streams.
import { isAbsolute, join } from 'node:path'
import { childEnvironment } from '../../base/supervise/environment.ts'
import { statOf } from '../../kernel/file.ts'
import type { ContainerSpec } from '../runtime.ts'

export type Way = { readonly argv: readonly [string, ...string[]]; readonly env: Readonly<Record<string, string>>; readonly cwd: string }

/** What runs when the definition names no command. */
const ownCommand = 'run'

/** A command is a file of the image, `folder`, or else one of the machine. The working folder is the image. */
export function located(folder: string, argv: readonly string[]): readonly [string, ...string[]] {
  const [command = ownCommand, ...args] = argv
  const inside = join(folder, command)
  return [!isAbsolute(command) && statOf(inside)?.isFile() ? inside : command, ...args]
}

/** `env`: of the agent, of which only what every program needs is handed on. */
export function wayOf(
  folder: string,
  { env }: ContainerSpec,
  argv: readonly string[],
  own: Readonly<Record<string, string | undefined>>,
): Way {
  const named = env.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] as const)
  return { argv: located(folder, argv), env: childEnvironment(own, Object.fromEntries(named)), cwd: folder }
}

/** A script that becomes the command of its arguments, in the same folder and with the same variables: values may be secrets, and stand in no argv. */
export function entryScript(folder: string, { env }: ContainerSpec): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
  const exports = env.map((text) => `export ${text.slice(0, text.indexOf('='))}=${quoted(text.slice(text.indexOf('=') + 1))}`)
  return ['#!/bin/sh', `cd ${quoted(folder)} || exit 127`, ...exports, 'exec "$@"', ''].join('\n')
}
