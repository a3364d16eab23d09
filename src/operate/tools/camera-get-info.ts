// camera_get_info: the cameras of this machine.
import { z } from 'zod'
import { orUnavailable } from '../answers.ts'
import { marked, simulated } from '../hardware/answers.ts'
import { isKnown } from '../host.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'camera_get_info',
  title: 'Cameras',
  description: 'The cameras of this machine, by the names that camera_take_photo takes, and whether they may be used. No picture is taken.',
  input: z.strictObject({}),
  output: z.object({
    cameras: orUnavailable(
      z.array(z.object({ name: z.string(), model: z.string(), through: z.enum(['rpicam', 'v4l2', 'simulated']), isAllowed: z.boolean() })),
    ),
    simulated,
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'sense',
  privileged: {
    async perform({ hardware, allows }, _input, call) {
      const found = await hardware.camera.list()
      const cameras = isKnown(found) ? found.map((each) => ({ ...each, isAllowed: allows('cameras', each.name) })) : found
      return marked(hardware, call, { cameras })
    },
  },
  simulate: () => ({ cameras: { unavailable: 'the sandbox keeps devices from being read' }, simulated: true as const }),
})
