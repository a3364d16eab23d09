// What tools want mirrored in headers, from servers that fail now and then, or send schemas of any shape.
import { expect, test } from 'vitest'
import { scan } from '../wire/scan.ts'
import { UpstreamRefusal } from './leg/ask.ts'
import { ParamHeaders } from './param-headers.ts'

const call = scan(Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"region":"eu"}}}'))
const tools = [{ name: 't', inputSchema: { properties: { region: { 'x-mcp-header': 'Region' } } } }]

test('a server that could not be asked is asked again with the next call; one that refused is not', async () => {
  let asked = 0
  let failure: Error | undefined = new Error('away')
  const headers = new ParamHeaders(async () => {
    asked++
    if (failure) throw failure
    return { tools }
  })
  expect(await headers.of(call)).toEqual({})
  failure = undefined
  expect(await headers.of(call)).toEqual({ 'mcp-param-region': 'eu' })
  expect(await headers.of(call)).toEqual({ 'mcp-param-region': 'eu' })
  expect(asked).toBe(2)
  headers.forget()
  failure = new UpstreamRefusal('tools/list', { code: -32_601, message: 'Method not found' })
  expect(await headers.of(call)).toEqual({})
  failure = undefined
  expect(await headers.of(call)).toEqual({})
  expect(asked).toBe(3)
})

test.each([[7], [{}], [[null, { name: 't', inputSchema: { properties: { a: null } } }, { inputSchema: 'x' }, ...tools]]])(
  'tools of any shape: %j',
  async (listed) => {
    const headers = new ParamHeaders(() => Promise.resolve({ tools: listed }))
    expect(await headers.of(call)).toEqual(Array.isArray(listed) ? { 'mcp-param-region': 'eu' } : {})
  },
)
