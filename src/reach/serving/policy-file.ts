// The policy file: which peers there are, and what each may call. It is read again when it changes; one that is damaged then leaves the last good one in force.
import type { Clock } from '../../kernel/clock.ts'
import { changeMark } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { type Permit, type Policy, createPolicy } from '../../base/access/policy.ts'
import { loadConfig } from '../../base/config/config.ts'
import { policySchema } from '../config.ts'

/** Of who may not connect any more. */
const nobodys = createPolicy([]).permit('nobody', 'this server')

/** How long a change may go unnoticed. */
const lookEveryMs = 250

export interface PolicyFile {
  /** The peer ids that it names. */
  peers(): readonly string[]
  /** What a peer may do that is listed under one of these ids: more than one after a rotation. */
  permit(listedAs: readonly string[]): Permit
  /** `listener` is called after every change. */
  onChange(listener: () => void): void
  close(): void
}

type Rules = { readonly peers: readonly string[]; readonly policy: Policy }

/** Reads the file once before it answers. Faults: those of `loadConfig`. */
export async function policyFile({ clock, log }: { readonly clock: Clock; readonly log: Log }, path: string): Promise<PolicyFile> {
  let mark = changeMark(path)
  let rules = await rulesIn(path)
  const listeners = new Set<() => void>()
  let isClosed = false
  let cancel = (): void => {}

  const look = async (): Promise<void> => {
    try {
      const now = changeMark(path)
      if (now === mark) return
      mark = now
      const read = await rulesIn(path)
      if (isClosed) return
      rules = read
      log.info('reach.policy.changed', { file: path, peers: rules.peers.length })
      for (const listener of listeners) listener()
    } catch (error) {
      log.error('reach.policy.damaged', { file: path, inForce: 'what it said before', error })
    }
  }
  const watch = (): void => {
    if (!isClosed) cancel = clock.after(lookEveryMs, () => void look().then(watch))
  }
  watch()
  return {
    peers: () => rules.peers,
    permit(listedAs) {
      const id = listedAs.find((id) => rules.peers.includes(id)) ?? listedAs[0]
      return id === undefined ? nobodys : rules.policy.permit(id, 'this server')
    },
    onChange: (listener) => void listeners.add(listener),
    close() {
      isClosed = true
      cancel()
    },
  }
}

async function rulesIn(path: string): Promise<Rules> {
  const { peers } = (await loadConfig({ schema: policySchema, path })).value
  return {
    peers: Object.keys(peers).filter((id) => id !== '*'),
    policy: createPolicy(Object.entries(peers).map(([id, rule]) => ({ principals: [id], upstreams: ['*'], ...rule }))),
  }
}
