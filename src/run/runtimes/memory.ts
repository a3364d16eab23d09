// The runtime in which nothing runs: for simulations, tests and trying out definitions. Every image is there, and every result says that it is simulated.
import { memoryRuntime } from '../memory/runtime.ts'
import { World } from '../memory/world.ts'
import type { RuntimeKind } from '../runtime.ts'

export default {
  summary: 'nothing runs: every answer is simulated, and forgotten with the process',
  open: async ({ clock }) => memoryRuntime({ world: new World({ clock }, { isAnyImageThere: true }) }),
} satisfies RuntimeKind
