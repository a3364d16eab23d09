// The settings of who may do what, and how often: rules, roles and limits.
import { z } from 'zod'
import { sameName } from '../../base/access/argument-rule.ts'

export const patterns = (what: string): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z.array(z.string()).default([]).describe(`Which ${what}; * stands for any characters.`)

const value = z.union([z.string(), z.number(), z.boolean()])
const values = z.union([value.transform((one) => [one]), z.array(value).min(1)])
const argument = z
  .union([
    values.transform((is) => ({ is })),
    z
      .strictObject({
        is: values.optional().describe('One of these; in a text, * stands for any characters.'),
        below: z
          .string()
          .regex(/^\//, 'must be an absolute path')
          .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), 'may not have . or .. in it')
          .optional()
          .describe('A path that is this folder or below it.'),
        min: z.number().optional().describe('A number, not below this.'),
        max: z.number().optional().describe('A number, not above this.'),
        optional: z.boolean().default(false).describe('It may be left out.'),
      })
      .refine(({ is, below, min, max }) => (is ?? below ?? min ?? max) !== undefined, 'needs one of is, below, min and max')
      .refine(({ min = -Infinity, max = Infinity }) => min <= max, 'min is above max'),
  ])
  .describe('What one argument must be: a value, a list of them, or a table with is, below, min, max, optional.')

const allowed = {
  upstreams: z.array(z.string()).min(1).describe('Which upstreams; * stands for any characters.'),
  tools: patterns('tools they may call'),
  arguments: z
    .record(z.string(), argument)
    .refine(
      (rules) => new Set(Object.keys(rules).map(sameName)).size === Object.keys(rules).length,
      'names two arguments that differ in letter case only',
    )
    .optional()
    .describe('What the arguments of a call must be for these tools to be allowed, by name. What is not named here may be anything.'),
  approve: patterns("tools need a person's yes for each call, whichever rule allows them"),
  resources: patterns('resources they may read, by URI'),
  prompts: patterns('prompts they may get'),
  methods: patterns('other methods they may send, such as tasks/* or those of an extension'),
}

export const rule = z
  .strictObject({ principals: z.array(z.string()).min(1).describe('Whom it is for.'), ...allowed })
  .describe('What some principals may do. Without a rule nothing is allowed.')

export const role = z
  .strictObject({ rules: z.array(z.strictObject(allowed).describe('As in gate.rules, for whoever holds the role.')).default([]) })
  .describe('A named set of rules.')

export const limit = z
  .strictObject({
    principals: z.array(z.string()).min(1).default(['*']).describe('Whose calls; * stands for any characters.'),
    upstreams: z.array(z.string()).min(1).default(['*']).describe('Calls of which upstreams; * stands for any characters.'),
    tools: z.array(z.string()).min(1).default(['*']).describe('Calls of which tools; * stands for any characters.'),
    per: z
      .enum(['tool', 'principal'])
      .default('tool')
      .describe('What is counted together, for each principal by itself: the calls of one tool, or of all these tools.'),
    calls_per_minute: z.number().positive().optional().describe('How many calls a minute.'),
    burst: z.number().int().min(1).optional().describe('How many of them at once after a pause; calls_per_minute when absent.'),
    bytes_per_minute: z.number().positive().optional().describe('How many bytes a minute, calls and results together.'),
    concurrent: z.number().int().min(1).optional().describe('How many calls at the same time.'),
  })
  .refine((one) => (one.calls_per_minute ?? one.bytes_per_minute ?? one.concurrent) !== undefined, {
    error: 'needs one of calls_per_minute, bytes_per_minute and concurrent',
  })
  .describe('How often some tools may be called. All limits that cover a call hold.')
