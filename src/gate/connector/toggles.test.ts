// Proves that the variables of the runbook act as it says, that a connector's own form goes before the common one, and that a wrong one is named without its value.
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { togglesFrom } from './toggles.ts'

const connectors = ['operator_api', 'operator_upload', 'crown_handshake']
const from = (env: Record<string, string>) => togglesFrom(env, connectors)

test('G13: only exactly 1 is on', () => {
  for (const value of ['1']) expect(from({ ABZU_USE_MCP: value })).toMatchObject({ isOn: true, isOff: false })
  for (const value of ['0', 'true', '1 ', ' 1', 'yes', '01', '2'])
    expect(from({ ABZU_USE_MCP: value })).toMatchObject({ isOn: false, isOff: true })
  for (const env of [{}, { ABZU_USE_MCP: '' }]) expect(from(env)).toMatchObject({ isOn: false, isOff: false })
})

test('G13: the address of the gate', () => {
  expect(from({}).gatewayUrl).toBe('http://localhost:8001')
  expect(from({ MCP_GATEWAY_URL: 'https://gate.example/base//' }).gatewayUrl).toBe('https://gate.example/base')
  for (const value of [
    'gate.example:8001',
    'ftp://gate.example',
    'http://',
    'http://me:MARK@gate.example',
    'http://gate.example/?token=MARK',
  ])
    expect(() => from({ MCP_GATEWAY_URL: value })).toThrow(/^the environment variable MCP_GATEWAY_URL (?!.*MARK)/)
})

test("G13: one common token serves all three, a connector's own goes before it, and neither prints", () => {
  const toggles = from({
    MCP_CONNECTOR_TOKEN: 'MARK-common',
    CROWN_HANDSHAKE_STAGE_B_CONNECTOR_TOKEN: 'MARK-crown',
    OPERATOR_UPLOAD_STAGE_B_CONNECTOR_TOKEN: '',
  })
  expect(connectors.map((id) => toggles.of(id).token?.reveal())).toEqual(['MARK-common', 'MARK-common', 'MARK-crown'])
  expect(inspect(toggles.of('operator_api')) + JSON.stringify(toggles.of('operator_api'))).not.toContain('MARK')
  expect(from({}).of('operator_api')).toEqual({})
  expect(toggles.of('other')).toEqual({})
})

test('G13: what is said of the credential', () => {
  const common = {
    MCP_LAST_ROTATED: '2025-01-17T22:00:05Z',
    MCP_ROTATION_WINDOW: 'PT48H',
    MCP_SUPPORTS_HOT_SWAP: 'Yes',
    MCP_ROTATION_HINT: 'vault',
  }
  expect(from(common).of('operator_api')).toEqual({
    lastRotatedMs: Date.UTC(2025, 0, 17, 22, 0, 5),
    rotationWindow: 'PT48H',
    supportsHotSwap: true,
    rotationHint: 'vault',
  })
  const own = { OPERATOR_API_STAGE_B_ROTATION_WINDOW: 'P1D', OPERATOR_API_STAGE_B_SUPPORTS_HOT_SWAP: '0' }
  expect(from({ ...common, ...own }).of('operator_api')).toMatchObject({
    rotationWindow: 'P1D',
    supportsHotSwap: false,
    rotationHint: 'vault',
  })
  expect(from({ ...common, ...own }).of('operator_upload')).toMatchObject({ rotationWindow: 'PT48H', supportsHotSwap: true })
})

test.each([
  ['MCP_LAST_ROTATED', 'yesterday-MARK'],
  ['MCP_LAST_ROTATED', '2025-01-17T22:00:05'],
  ['MCP_ROTATION_WINDOW', 'PT'],
  ['MCP_ROTATION_WINDOW', 'P-2D'],
  ['MCP_ROTATION_WINDOW', '48h-MARK'],
  ['MCP_ROTATION_WINDOW', 'PT0S'],
  ['MCP_SUPPORTS_HOT_SWAP', 'perhaps-MARK'],
  ['MCP_ROTATION_HINT', 'MARK'.repeat(100)],
  ['MCP_CONNECTOR_TOKEN', 'MARK with blanks'],
  ['MCP_CONNECTOR_TOKEN', 'MARK\n'],
  ['OPERATOR_API_STAGE_B_LAST_ROTATED', 'MARK'],
  ['CROWN_HANDSHAKE_STAGE_B_ROTATION_WINDOW', 'MARK'],
])('G13: %s=%j is a fault that names the variable', (name, value) => {
  let fault: unknown
  try {
    from({ [name]: value })
  } catch (error) {
    fault = error
  }
  expect(fault).toMatchObject({ code: 'gate.bad_toggle', kind: 'config', details: { name } })
  expect(inspect(fault)).not.toContain('MARK')
})
