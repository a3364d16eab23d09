// Values that one process adds and any may read, a JSON file each in one folder; the oldest make room for the newest.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, readText, removeFile, statOf, writeWhole } from '../kernel/file.ts'

/** Names sort in the order of arrival: milliseconds of wall time, made to grow where the clock does not. */
const namePattern = /^\d{15}\.json$/

function namesIn(folder: string): string[] {
  if (!statOf(folder)) return []
  return readdirSync(folder)
    .filter((name) => namePattern.test(name))
    .sort()
}

export interface KeptFiles<Value> {
  /** Durable when it returns. `at` is our wall time in milliseconds. */
  add(at: number, value: Value): void
  /** Whether one that is kept has this key (see `keptFiles`). */
  holds(key: string): boolean
}

/** The files in `folder`, for the one process that adds to them. `read` is undefined for what is none of ours; `keyOf` tells one from another. */
export function keptFiles<Value>(
  folder: string,
  most: number,
  { read, keyOf }: { readonly read: (value: unknown) => Value | undefined; readonly keyOf: (value: Value) => string },
): KeptFiles<Value> {
  makeFolder(folder)
  let keys: Map<string, string> | undefined
  const known = (): Map<string, string> =>
    (keys ??= new Map(filesAfter(folder, '', read).map(({ place, value }) => [place, keyOf(value)] as const)))
  return {
    add(at, value) {
      const names = namesIn(folder) // anew: another part of this process may have added one
      const last = Math.max(Number(names.at(-1)?.slice(0, 15) ?? 0) + 1, at)
      const name = `${String(last).padStart(15, '0')}.json`
      writeWhole(join(folder, name), `${JSON.stringify(value)}\n`)
      names.push(name)
      keys?.set(name, keyOf(value))
      while (names.length > most) {
        const oldest = names.shift()!
        keys?.delete(oldest)
        removeFile(join(folder, oldest))
      }
    },
    holds: (key) => [...known().values()].includes(key),
  }
}

/** The place after the newest. */
export function endOfFiles(folder: string): string {
  return namesIn(folder).at(-1) ?? ''
}

/** What came after `place`, oldest first, each with its own place. What cannot be read, or was removed meanwhile, is left out. */
export function filesAfter<Value>(
  folder: string,
  place: string,
  read: (value: unknown) => Value | undefined,
): { readonly place: string; readonly value: Value }[] {
  return namesIn(folder)
    .filter((name) => name > place)
    .flatMap((name) => {
      const value = readFile(join(folder, name), read)
      return value ? [{ place: name, value }] : []
    })
}

/** Names of the files that hold no value of ours: damaged ones, or of another version. */
export function damagedFiles(folder: string, read: (value: unknown) => unknown): readonly string[] {
  return namesIn(folder).filter((name) => statOf(join(folder, name)) && readFile(join(folder, name), read) === undefined)
}

function readFile<Value>(path: string, read: (value: unknown) => Value | undefined): Value | undefined {
  try {
    return read(JSON.parse(readText(path) ?? 'null'))
  } catch {
    return undefined
  }
}
