// The section `logging` of the configuration: where app.log and audit.log are, and how long they get and are kept.
import { z } from 'zod'
import { levels } from '../../kernel/log.ts'

export const loggingSettings = z.strictObject({
  dir: z
    .string()
    .min(1)
    .optional()
    .describe("The folder of the logs; /var/log/mcp-raspi under the runbook's name, log/ in the state folder else."),
  level: z.enum(levels).default('info').describe('The least urgent that app.log tells.'),
  max_bytes: z
    .int()
    .min(65_536)
    .max(1 << 34)
    .default(104_857_600)
    .describe('A log is closed, and a new one begun, when it is this large.'),
  backup_count: z.int().min(0).max(10_000).default(5).describe('How many closed files of each log are kept.'),
  retention_days: z.int().min(1).max(3_650).default(30).describe('For how many days a closed file is kept.'),
})

export type LoggingSettings = z.output<typeof loggingSettings>
