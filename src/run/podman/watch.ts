// Hints that something changed: first the files that conmon leaves for a container that ended, which are there within milliseconds, then podman's slower events.
import { type FSWatcher, statSync, watch } from 'node:fs'
import { failed, healthy, rested } from '../../base/supervise/backoff.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { PodmanClient } from './client.ts'
import { decodeEvent } from './decode.ts'
import { textLines } from './frames.ts'

type Needs = { readonly client: PodmanClient; readonly clock: Clock; readonly log: Log }

/** What changes nothing about a container. Our own health checks are among them: a hint for each would make us look for ever. */
const idle = /^(?:exec|exec_died|health_status|attach|mount|unmount|sync|init|prune|stats|top)$/
const lookMs = 1_000

/** Until it is disposed of. `exits` may come to be later, or go and come back. */
export function watchPodman(needs: Needs, exits: () => string, onHint: (id?: string) => void): Disposable {
  const over = new AbortController()
  const files = watchExits(needs.clock, exits, onHint)
  void followEvents(needs, over.signal, onHint)
  return {
    [Symbol.dispose]() {
      over.abort()
      files[Symbol.dispose]()
    },
  }
}

function watchExits(clock: Clock, exits: () => string, onHint: (id?: string) => void): Disposable {
  let watcher: FSWatcher | undefined
  let watched = ''
  let cancel = (): void => {}
  const drop = (): void => {
    watcher?.close()
    watcher = undefined
    watched = ''
  }
  // Nobody tells that a folder has come to be, or that another one has its place, so its number is asked for once in a while.
  const look = (): void => {
    cancel = clock.after(lookMs, look)
    const folder = exits()
    const mark = markOf(folder)
    if (mark === watched) return
    drop()
    if (mark === '') return
    try {
      watcher = watch(folder, { persistent: false }, (_, file) => onHint(file !== null && /^[0-9a-f]{64}$/.test(file) ? file : undefined))
      watcher.on('error', drop)
      watched = mark
      onHint()
    } catch {
      drop()
    }
  }
  look()
  return {
    [Symbol.dispose]() {
      cancel()
      drop()
    },
  }
}

function markOf(folder: string): string {
  const stat = statSync(folder, { throwIfNoEntry: false })
  return stat?.isDirectory() ? `${folder} ${stat.dev} ${stat.ino}` : ''
}

async function followEvents({ client, clock, log }: Needs, signal: AbortSignal, onHint: (id?: string) => void): Promise<void> {
  const query = { stream: true, filters: JSON.stringify({ type: ['container'] }) }
  for (let backoff = rested; !signal.aborted;) {
    let reason = 'it ended'
    try {
      const answer = await client.stream({ method: 'GET', path: 'events', query, doing: 'follow events' }, signal)
      if ('refusal' in answer) reason = answer.refusal.message
      else {
        backoff = healthy(backoff, clock.mono())
        onHint() // of what happened meanwhile nobody told
        for await (const line of textLines(answer.response)) {
          const { action, id } = decodeEvent(line)
          if (!idle.test(action)) onHint(/^[0-9a-f]{64}$/.test(id) ? id : undefined)
        }
      }
    } catch (error) {
      reason = (error as Error).message
    }
    if (signal.aborted) return
    const { next, delayMs } = failed(backoff, clock.mono())
    backoff = next
    log.debug('run.podman.events_lost', { reason, delayMs })
    await clock.wait(Math.max(delayMs, 100), signal).catch(() => {})
  }
}
