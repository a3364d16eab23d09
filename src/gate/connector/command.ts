// A command of an operator: which tool of which upstream, and its arguments as they came.
import { members } from '../../base/wire/locate.ts'
import { commandSchema } from './api.ts'
import type { ToolCall } from '../connector-kind.ts'
import { fault } from '../faults.ts'
import { checked, objectIn } from './message-body.ts'

const noArguments = Buffer.from('{}')

/** `{"command":"files__read_file","arguments":{…}}`. The arguments keep their bytes, so no number is rounded on the way. Fault `gate.bad_message`. */
export function commandIn(body: Buffer): ToolCall {
  const { command } = checked(commandSchema, objectIn(body))
  const spans = [...members(body, [body.indexOf(0x7b), body.length])].filter(({ name }) => name === 'arguments')
  if (spans.length > 1) throw fault.bad_message({ problems: ['arguments: stands there twice'] })
  const [span] = spans
  const at = command.indexOf('__')
  return {
    upstream: command.slice(0, at),
    tool: command.slice(at + 2),
    argumentsJson: span ? body.subarray(...span.value) : noArguments,
  }
}
