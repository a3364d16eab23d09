// The settings of `mcp` on a person's machine: `mcp.toml`, which nodes there are and how they are reached.
import { z } from 'zod'
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

export const cliFile = z.strictObject({
  nodes: z
    .array(node)
    .max(10_000)
    .default([])
    .refine((nodes) => new Set(nodes.map((one) => one.name)).size === nodes.length, 'two nodes have the same name'),
})

export type NodeEntry = z.output<typeof node>
