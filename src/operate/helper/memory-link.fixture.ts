// A link to a helper in this very process, for tests of privileged tools: what they do is real, who may is not asked.
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import type { Call } from '../../base/mcp/tool/tool.ts'
import schema from '../config.ts'
import { createHost } from '../host.ts'
import { createSystemd } from '../systemd.ts'
import type { HelperLink } from './link.ts'
import type { HelperNeeds } from './needs.ts'
import { createPower } from './power.ts'

/** The needs of a helper on this machine, with what the test has of its own. */
export function helperNeeds(changes: Partial<HelperNeeds> = {}): HelperNeeds {
  const { host = createHost(), clock = systemClock, log = silentLog } = changes
  const systemd = createSystemd(host)
  return {
    host,
    clock,
    log,
    config: schema.parse({}),
    allows: () => true,
    systemd,
    power: createPower({ clock, log, systemd, record: { note: async () => {} }, isReal: async () => true }),
    version: '0.0.1',
    ...changes,
  }
}

/** Performs at once; what is to happen after the reply happens right after it. */
export function memoryLink(needs: HelperNeeds = helperNeeds()): HelperLink {
  return {
    async ask(tool, input, call) {
      const after: (() => void)[] = []
      const answer = await tool.privileged.perform(needs, input, { ...call, afterReply: (act) => void after.push(act) })
      for (const act of after) setImmediate(act)
      return answer
    },
    health: async () => ({ ok: true }),
  }
}

/** A call of somebody, by whom does not matter. */
export function plainCall(changes: Partial<Call> = {}): Call {
  return {
    signal: new AbortController().signal,
    progress() {},
    simulated() {},
    caller: { principal: { name: 'ann', via: 'token' }, requestId: '1', source: 'test' },
    ...changes,
  }
}
