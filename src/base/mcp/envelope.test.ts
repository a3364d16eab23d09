// The envelope on and off requests of any size that was let in.
import { expect, test } from 'vitest'
import { valueAt } from '../wire/frame.ts'
import { scan } from '../wire/scan.ts'
import { withEnvelope, withoutEnvelope } from './envelope.ts'

const message = (extra: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/call",${extra}}`

test('what we put together ourselves may be larger than what is let in', () => {
  const limits = { maxFrameBytes: 16 << 20, maxDepth: 128, maxElements: 250_000 }
  const frame = scan(Buffer.from(message(`"params":{"name":"t","arguments":{"a":"${'x'.repeat(9_000_000)}"}}`)), limits)
  const whole = withEnvelope(frame, { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' })
  expect(valueAt(whole, whole.at.inMeta!['io.modelcontextprotocol/protocolVersion']!)).toBe('2026-07-28')
  expect(withoutEnvelope(whole).bytes.length).toBeGreaterThan(9_000_000)
})
