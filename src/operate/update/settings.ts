// The section `updates` of the configuration: where releases come from, and whose signature counts.
import { z } from 'zod'

export const updateSettings = z.strictObject({
  source: z
    .string()
    .regex(/^(?:npm|https:\/\/\S+|\/.*)$/, 'must be "npm", an https:// address or the path of a folder')
    .default('npm')
    .describe('Where releases come from: npm (by the registry of its own configuration), an https:// address, or a folder.'),
  authority: z
    .string()
    .regex(/^\//, 'must be an absolute path')
    .optional()
    .describe('A file in PEM of whom to believe at an https:// source instead of those that the system trusts.'),
  package: z
    .string()
    .regex(/^(?:@[a-z0-9-][a-z0-9._-]*\/)?[a-z0-9-][a-z0-9._-]*$/)
    .default('fairlead')
    .describe('The npm package that a release must be of.'),
  signers: z
    .array(z.string().regex(/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/, 'must be a whole peer id'))
    .max(16)
    .default([])
    .describe('The keys (peer ids) whose signature makes a package a release. Without any no update is taken.'),
  keep_versions: z
    .int()
    .min(2)
    .max(50)
    .default(3)
    .describe('How many releases stay on this machine, the one that runs and the one before it among them.'),
  health_seconds: z
    .int()
    .min(1)
    .max(3_600)
    .default(60)
    .describe('How long a new release has to prove that it is well, before the one before it comes back.'),
})
