// The settings of `mcp` on a person's machine: `mcp.toml`, which nodes there are and how they are reached.
import { z } from 'zod'
import { isSafeUrl, safeUrlWords } from '../../base/http/safe-url.ts'
import { name } from '../service/config.ts'

const node = z.strictObject({
  name: name.describe('What definitions call it (`node = …`).'),
  address: z
    .string()
    .min(1)
    .max(512)
    .describe('HOST[:9444] over HTTPS, unix:PATH (the folder with the sockets of an agent on this machine), or peer:ID.'),
  identity: z
    .string()
    .min(1)
    .optional()
    .describe('For peer:ID: the folder of our own identity; by default ~/.bmp, or that of fairlead reach.'),
  ca: z.string().min(1).optional().describe('The certificate authority that is believed for it (PEM file); below the folder of this file.'),
})

const login = z.strictObject({
  url: z.url().refine(isSafeUrl, safeUrlWords).describe('The token endpoint of an identity service (OAuth 2.0), for mcp login --user.'),
  client: z.string().min(1).max(256).default('mcp').describe('The client_id that it knows mcp by.'),
  scope: z.string().min(1).max(1_024).optional().describe('What is asked for, such as "openid offline_access".'),
  ca: z.string().min(1).optional().describe('The certificate authority of that address (PEM file); below the folder of this file.'),
})

export const cliFile = z.strictObject({
  login: login.optional().describe('Without it tokens are made on nodes: mcp token new.'),
  nodes: z
    .array(node)
    .max(10_000)
    .default([])
    .refine((nodes) => new Set(nodes.map((one) => one.name)).size === nodes.length, 'two nodes have the same name'),
})

export type LoginEntry = z.output<typeof login>
export type NodeEntry = z.output<typeof node>
export type CliSettings = z.output<typeof cliFile>
