// An MCP server without any library: one JSON-RPC line in, one out, so that what carries the lines is what gets measured.
const tool = {
  name: 'echo',
  description: 'Answers with the text it was given, padded to a size.',
  inputSchema: { type: 'object', properties: { text: { type: 'string' }, size: { type: 'number' } }, required: ['text'] },
}
const answers = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'echo', version: '1.0.0' } }),
  ping: () => ({}),
  'tools/list': () => ({ tools: [tool] }),
  'tools/call': ({ arguments: { text, size = 0 } }) => ({ content: [{ type: 'text', text: text.padEnd(size) }] }),
}

let partial = []
process.stdin.on('data', (chunk) => {
  let from = 0
  for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
    answer(Buffer.concat([...partial, chunk.subarray(from, at)]).toString('utf8'))
    partial = []
    from = at + 1
  }
  if (from < chunk.length) partial.push(chunk.subarray(from))
})

function answer(line) {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  const given = answers[method]
  const outcome = given ? { result: given(params ?? {}) } : { error: { code: -32601, message: 'Method not found' } }
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...outcome })}\n`)
}
