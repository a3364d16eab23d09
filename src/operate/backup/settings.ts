// The section `backup` of the configuration: where backups go, for how long they stay, and who alone can open them.
import { z } from 'zod'

export const backupSettings = z.strictObject({
  folder: z
    .string()
    .regex(/^\//, 'must be an absolute path')
    .default('/backup')
    .describe('Holds mcp-raspi/<DATE>.tar.gz, and latest/ with the newest one unpacked.'),
  keep_days: z.int().min(1).max(3_650).default(30).describe('Archives that are older go with the next backup.'),
  recipients: z
    .array(z.string().regex(/^age1[0-9a-z]+$/, 'must be an age recipient'))
    .max(16)
    .default([])
    .describe('Keys of age (age1…) for which archives are sealed. With any, nothing is kept unsealed, so that there is no latest/.'),
})
