// The limit layer: a call that is over a limit is refused, and told when to try again.
import { type Exchange, type Layer, type Outcome, through } from '../../base/mcp/exchange.ts'
import { code } from '../../base/mcp/protocol.ts'
import { stringAt } from '../../base/wire/frame.ts'
import type { Limits } from './limits.ts'

export type LimitNeeds = {
  readonly limits: Limits
  readonly upstream: string
  /** Records the refusal before the client hears of it. */
  refused(exchange: Exchange, reason: string): Promise<void>
}

type Told = { readonly code: 'gate.limited'; readonly retryAfterSeconds: number }

/** When what a limit refused may be tried again; undefined for any other outcome. */
export function retryAfterSeconds(outcome: Outcome): number | undefined {
  return outcome.is === 'refused' && outcome.code === code.limited ? (outcome.data as Told).retryAfterSeconds : undefined
}

export function limitLayer({ limits, upstream, refused }: LimitNeeds): Layer {
  return (next) => async (exchange, out) => {
    const { frame, principal } = exchange
    const tool = frame.kind === 'request' && frame.method === 'tools/call' ? stringAt(frame, frame.at.name) : undefined
    if (tool === undefined) return next(exchange, out)
    const begun = limits.begin(principal.name, upstream, tool)
    const running = begun instanceof Promise ? await begun : begun
    if ('reason' in running) {
      const { reason, retryAfterSeconds } = running
      const data: Told = { code: 'gate.limited', retryAfterSeconds }
      await refused(exchange, reason)
      return { is: 'refused', reason, code: code.limited, data }
    }
    running.spend(frame.bytes.length)
    try {
      return await next(
        exchange,
        through(out, (incoming) => {
          running.spend(incoming.bytes.length)
          return out.write(incoming)
        }),
      )
    } finally {
      running.end()
    }
  }
}
