// What starts us again: the launcher beside the built program or its source, or the one executable that all of it is.
import { expect, test } from 'vitest'
import { launcherOf } from './launcher.ts'

test.each([
  [['/n/node', '--flag=1', '/opt/fairlead/dist/main.js', '--as', 'mcp'], '/opt/fairlead/bin/fairlead'],
  [['/n/node', '/home/ann/fairlead/src/main.ts'], '/home/ann/fairlead/bin/fairlead'],
  [['/usr/local/bin/mcp-agent', '--as', 'mcp'], '/usr/local/bin/mcp-agent'],
] as const)('%j', (self, launcher) => {
  expect(launcherOf(self as unknown as readonly [string, ...string[]])).toBe(launcher)
})
