// camera_take_photo: takes one picture, kept as a file of this machine.
import { z } from 'zod'
import { marked, simulated } from '../hardware/answers.ts'
import { privilegedTool } from '../helper/privileged.ts'

const takeTimeoutMs = 20_000

export default privilegedTool({
  name: 'camera_take_photo',
  title: 'Take a photo',
  description:
    'Takes one picture and keeps it as a file in the media folder of this machine, the newest hundred by default. Answers the path of the file, its size and its SHA-256. One picture at a time.',
  input: z.strictObject({
    camera: z
      .string()
      .regex(/^(?:rpicam\d{1,2}|video\d{1,3}|simulated0)$/, 'name it as camera_get_info does: rpicam0, video0')
      .default('rpicam0')
      .describe('The camera, as camera_get_info names it.'),
    width: z.int().min(64).max(4_096).default(1_280),
    height: z.int().min(64).max(4_096).default(720),
    quality: z.int().min(1).max(100).default(85).describe('Of the JPEG, where the camera lets it be chosen.'),
  }),
  output: z.object({
    camera: z.string(),
    path: z.string(),
    mediaType: z.string(),
    sizeBytes: z.int(),
    sha256: z.string().describe('Of the file, in hexadecimal.'),
    simulated,
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  privileged: {
    subjects: ({ camera }) => [{ list: 'cameras', name: camera }],
    rate: { burst: 5, perSecond: 0.5 },
    async perform({ hardware }, { camera, ...settings }, call) {
      return marked(hardware, call, { camera, ...(await hardware.camera.take(camera, settings, takeTimeoutMs)) })
    },
  },
})
