// Takes a configuration that was read again while the server runs: what can change safely is in force from the next request on, all else is named; a bad one changes nothing.
import type { Admit } from '../base/mcp/tool/http.ts'
import { asFault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { OperateConfig } from './config.ts'

/** What the server goes by now. */
export type InForce = { readonly config: OperateConfig; readonly admit: Admit | undefined }

/** Whom it lets in, from which values on it warns, and whether anything is real. The helper reads `helper` and `power` by itself; its lists are only shown here. */
const sections = ['access', 'health', 'testing', 'power'] as const

/** Keys that are others now, and those that need a new start. */
export type Changes = { readonly changedKeys: readonly string[]; readonly needsRestart: readonly string[] }

/** `config` with what may change of `next`. */
export function changed(config: OperateConfig, next: OperateConfig): Changes & { readonly config: OperateConfig } {
  const { token: _, ...server } = config.server
  const { token, role } = next.server
  const taken: OperateConfig = {
    ...config,
    ...Object.fromEntries(sections.map((section) => [section, next[section]])),
    server: { ...server, role, ...(token === undefined ? {} : { token }) },
    helper: { ...next.helper, socket: config.helper.socket },
  }
  return { config: taken, changedKeys: differences(config, taken), needsRestart: differences(taken, next) }
}

function differences(before: OperateConfig, after: OperateConfig): readonly string[] {
  const keys = Object.keys(after) as (keyof OperateConfig)[]
  return keys.flatMap((section) => {
    const [one, other] = [before[section], after[section]] as readonly Readonly<Record<string, unknown>>[]
    const names = [...new Set([...Object.keys(one!), ...Object.keys(other!)])]
    return names.filter((name) => JSON.stringify(one![name]) !== JSON.stringify(other![name])).map((name) => `${section}.${name}`)
  })
}

/** Has `act` read the file and take it, one reload after the other; a fault of it is told, and what was in force stays so. */
export function reloads(log: Log, act: () => Promise<Changes>): () => Promise<void> {
  let last = Promise.resolve()
  const reload = async (): Promise<void> => {
    try {
      const { changedKeys, needsRestart } = await act()
      log.info('machine.reloaded', { changedKeys })
      if (needsRestart.length > 0) log.warn('machine.reload.needs_restart', { keys: needsRestart })
    } catch (error) {
      log.error('machine.reload.refused', { reason: asFault(error).message, inForce: 'what was before' })
    }
  }
  return () => (last = last.then(reload))
}
