// Opens the cache of this person for one process; an empty one where another process has it open and cannot be talked to.
import { join } from 'node:path'
import { asFault } from '../kernel/fault.ts'
import { removeFolder } from '../kernel/file.ts'
import { randomId } from '../kernel/random.ts'
import { type Places, storedIn } from './places.ts'
import type { Proxy } from './proxy.ts'

/** `open` is given the places to open it at. An empty one lies in `places.control`, and is gone in the end. Faults: those of `open`. */
export async function openOwnCache(places: Places, open: (places: Places) => Promise<Proxy>): Promise<Proxy> {
  try {
    return await open(places)
  } catch (error) {
    if (asFault(error).code !== 'share.running') throw error
    const spare = join(places.control, randomId(6))
    try {
      const proxy = await open({ ...places, ...storedIn(spare) })
      return {
        ...proxy,
        async [Symbol.asyncDispose]() {
          await proxy[Symbol.asyncDispose]()
          removeFolder(spare)
        },
      }
    } catch (failure) {
      removeFolder(spare)
      throw failure
    }
  }
}
