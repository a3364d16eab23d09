// How a client is asked to let its user approve a call: an elicitation, as a request in the legacy era and as `input_required` in the modern one.
import { mayBeAsked, type Capabilities } from '../../base/mcp/bridge/modern-shapes.ts'
import { membersText } from '../../base/mcp/envelope.ts'
import { idToken, resultOf } from '../../base/mcp/message.ts'
import { type Frame, splice, stringAt, valueAt } from '../../base/wire/frame.ts'
import { locate } from '../../base/wire/locate.ts'
import { rescan, scan } from '../../base/wire/scan.ts'
import { type AskedCall, shownArguments } from './asked.ts'

/** Our own question among those of `inputRequests`, and what our `requestState` begins with. */
const ownKey = 'fairlead-approval'
const statePrefix = 'fairlead-approval.'

const requestedSchema = {
  type: 'object',
  properties: {
    approve: { type: 'boolean', title: 'Allow this call', description: 'This one call, with exactly these arguments.', default: false },
  },
  required: ['approve'],
}

function paramsOf({ principal, upstream, tool, arguments: bytes }: AskedCall): string {
  const shown = shownArguments(bytes)
  const message = `${principal} wants to call ${tool} of ${upstream} with ${shown === '' ? 'no arguments' : `these arguments:\n${shown}`}`
  return JSON.stringify({ message, requestedSchema })
}

/** The question as a request to a legacy client. */
export function questionFrame(id: string, call: AskedCall): Frame {
  return scan(Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":"elicitation/create","params":${paramsOf(call)}}`))
}

/** The question as the answer to a modern client's call; it comes back with `state`. */
export function questionResult(request: Frame, state: string, call: AskedCall): Frame {
  const asked = `"inputRequests":{"${ownKey}":{"method":"elicitation/create","params":${paramsOf(call)}}}`
  const requestState = JSON.stringify(`${statePrefix}${state}`)
  return rescan(
    Buffer.from(
      `{"jsonrpc":"2.0","id":${idToken(request)},"result":{"resultType":"input_required","requestState":${requestState},${asked}}}`,
    ),
  )
}

/** True for a client that said it can put a form before its user. */
export function canBeAsked(capabilities: Readonly<Record<string, unknown>>, question: Frame): boolean {
  return mayBeAsked(question, capabilities as Capabilities)
}

/** What a legacy client's user said; undefined when the client could not ask. */
export function saidYes(answer: Frame): boolean | undefined {
  return answer.kind === 'result' ? isYes(resultOf(answer)) : undefined
}

/** Of a modern client that comes back with our `requestState`: what that was, and whether its user said yes. */
export function comingBack(frame: Frame): { readonly state: string; readonly saidYes: boolean } | undefined {
  const state = stringAt(frame, frame.at.requestState)
  if (!state?.startsWith(statePrefix)) return undefined
  const response = locate(frame.bytes, frame.at.params, 'inputResponses', ownKey)
  return { state: state.slice(statePrefix.length), saidYes: isYes(response && valueAt(frame, response)) }
}

/** The call as its server shall see it: without what was between the client and us. */
export function withoutQuestion(frame: Frame): Frame {
  const params = frame.at.params!
  const kept = membersText(frame, params, (name) => name !== 'requestState' && name !== 'inputResponses')
  return rescan(splice(frame, [{ span: params, with: Buffer.from(`{${kept.join(',')}}`) }]).bytes)
}

/** `accept`, and the box ticked: a client that accepts whatever it is asked has not asked anybody. */
function isYes(response: unknown): boolean {
  const { action, content } = (response ?? {}) as { readonly action?: unknown; readonly content?: { readonly approve?: unknown } | null }
  return action === 'accept' && content?.approve === true
}
