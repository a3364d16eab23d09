// A command as a call of a tool: through the same layers as every other call, in the name of the connector.
import { randomId } from '../../kernel/random.ts'
import type { Principal } from '../../base/access/principal.ts'
import type { Out, Outcome } from '../../base/mcp/exchange.ts'
import { ownClientInfo } from '../../base/mcp/leg/ask.ts'
import { errorOf, resultOf } from '../../base/mcp/message.ts'
import { encodeHeader, meta, modernVersion } from '../../base/mcp/protocol.ts'
import type { Endpoint } from '../../base/mcp/scopes.ts'
import type { Frame } from '../../base/wire/frame.ts'
import { scan } from '../../base/wire/scan.ts'
import type { ScanLimits } from '../../base/wire/walk.ts'
import type { ToolAnswer, ToolCall } from '../connector-kind.ts'
import { fault } from '../faults.ts'
import { retryAfterSeconds } from '../limit/layer.ts'

const method = 'tools/call'

/**
 * Calls the tool, and answers what it answered. Faults: `gate.command_refused` (no rule allows it, or there is no such upstream), `gate.command_limited`, `gate.command_unknown` when it was sent and
 * not answered, and the fault of a call that was not sent, which may be made again.
 */
export async function callTool(
  endpoint: Endpoint | undefined,
  { upstream, tool, argumentsJson }: ToolCall,
  caller: { readonly principal: Principal; readonly limits: ScanLimits; readonly abort: AbortSignal },
): Promise<ToolAnswer> {
  const { principal, limits, abort } = caller
  // What is not there is refused in the words of what may not be used: nobody learns names by asking.
  if (!endpoint) throw fault.command_refused({ reason: `no rule lets ${principal.name} use ${upstream}` })
  const frame = scan(requestOf(tool, argumentsJson), limits)
  const headers = { 'mcp-protocol-version': modernVersion, 'mcp-method': method, 'mcp-name': encodeHeader(tool) }
  let answer: Frame | undefined
  const out: Out = {
    write(incoming) {
      if (incoming.kind === 'result' || incoming.kind === 'error') answer = incoming
      return true
    },
    room: () => Promise.resolve(),
  }
  const outcome = await endpoint.handle({ frame, era: 'modern', principal, headers, abort }, out)
  if (!answer) throw faultOf(outcome)
  const result = resultOf(answer)
  return result ? { result } : { error: errorOf(answer) }
}

function requestOf(tool: string, argumentsJson: Uint8Array): Buffer {
  const inMeta = JSON.stringify({ [meta.protocolVersion]: modernVersion, [meta.clientCapabilities]: {}, [meta.clientInfo]: ownClientInfo })
  const head = `{"jsonrpc":"2.0","id":"${randomId()}","method":"${method}","params":{"name":${JSON.stringify(tool)},"arguments":`
  return Buffer.concat([Buffer.from(head), argumentsJson, Buffer.from(`,"_meta":${inMeta}}}`)])
}

function faultOf(outcome: Outcome): Error {
  const waitSeconds = retryAfterSeconds(outcome)
  switch (outcome.is) {
    case 'refused':
      if (waitSeconds !== undefined) return fault.command_limited({ reason: outcome.reason, waitMs: waitSeconds * 1_000 })
      return fault.command_refused({ reason: outcome.reason })
    case 'notSent':
      return outcome.fault
    case 'unknown':
      return fault.command_unknown({ reason: outcome.fault.message }, outcome.fault)
    default:
      return fault.command_unknown({ reason: 'it was not answered' })
  }
}
