// Pins as they are kept: written one after the other, in this gate's file or where all gates of a cluster have them.
import { hash } from 'node:crypto'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Bucket } from '../../base/kv/kv.ts'
import { fault } from '../faults.ts'

/** Told for each upstream: the definition of a tool as it was accepted, or that its whole list was seen once. */
export type KeptPin = { readonly upstream: string; readonly text: string | undefined }

const knownKey = 'known'
/** Other gates may write the same pin at the same time. */
const maxTries = 8

export class KeptPins {
  readonly #bucket: Bucket
  readonly #log: Log
  #saving: Promise<void> = Promise.resolve()

  constructor({ bucket, log }: { readonly bucket: Bucket; readonly log: Log }) {
    this.#bucket = bucket
    this.#log = log
  }

  /** Fault `kv.unavailable`. */
  async *all(): AsyncGenerator<KeptPin> {
    for await (const entry of this.#bucket.list()) yield pinIn(entry)
  }

  /** Each that is written, here or by another gate. */
  async *changes(signal: AbortSignal): AsyncGenerator<KeptPin> {
    for await (const change of this.#bucket.watch(signal)) if (change.is === 'set') yield pinIn(change.entry)
  }

  /** Another gate may have been first: then what it kept is told to `adopt`. What cannot be kept now holds until the gate ends. */
  keepFirst(upstream: string, tool: string, text: string, adopt: (text: string) => void): void {
    this.#keep(async () => {
      const key = keyOf(upstream, tool)
      if ((await this.#bucket.create(key, Buffer.from(text))) !== undefined) return
      const entry = await this.#bucket.get(key)
      if (entry) adopt(Buffer.from(entry.value).toString('utf8'))
    })
  }

  keepKnown(upstream: string): void {
    this.#keep(async () => void (await this.#bucket.create(`${upstream}/${knownKey}`, new Uint8Array())))
  }

  /** In the place of whatever is kept. Faults: those of the bucket. */
  save(upstream: string, tool: string, text: string): Promise<void> {
    const [key, bytes] = [keyOf(upstream, tool), Buffer.from(text)]
    return this.#inTurn(async () => {
      for (let tries = 0; tries < maxTries; tries++) {
        const present = await this.#bucket.get(key)
        const written = await (present ? this.#bucket.update(key, bytes, present.revision) : this.#bucket.create(key, bytes))
        if (written !== undefined) return
      }
      throw fault.pin_contended({ upstream, tool })
    })
  }

  /** Resolves when all that was accepted so far is kept, or cannot be. */
  saved(): Promise<void> {
    return this.#saving
  }

  #keep(save: () => Promise<void>): void {
    this.#inTurn(save).catch((error: unknown) => this.#log.warn('gate.pin.unsaved', { error: asFault(error) }))
  }

  #inTurn(save: () => Promise<void>): Promise<void> {
    const saved = this.#saving.then(save)
    this.#saving = saved.catch(() => {})
    return saved
  }
}

function pinIn({ key, value }: { readonly key: string; readonly value: Uint8Array }): KeptPin {
  const [upstream = '', what] = key.split('/')
  return { upstream, text: what === knownKey ? undefined : Buffer.from(value).toString('utf8') }
}

function keyOf(upstream: string, tool: string): string {
  return `${upstream}/${hash('sha256', tool, 'base64url')}`
}
