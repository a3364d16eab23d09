// The settings of the cluster that keeps what several machines share: absent, each machine keeps its own.
import { z } from 'zod'
import { credential } from '../config/credential.ts'
import { hostOf, isLoopback } from '../http/host.ts'

const isAddress = (text: string): boolean => {
  if (!URL.canParse(text)) return false
  const { protocol, port, pathname, search, hash } = new URL(text)
  return protocol === 'nats:' && port !== '' && /^\/?$/.test(pathname) && search === '' && hash === ''
}

const address = z
  .string()
  .refine(isAddress, 'must be nats://HOST:PORT')
  .refine(
    (text) => !URL.canParse(text) || new URL(text).username === '',
    'may not hold a user name or password: write nkey = { file = "PATH" }',
  )

const tls = z
  .strictObject({
    ca: z
      .string()
      .min(1)
      .optional()
      .describe("A file with the certificates (PEM) of the servers' authority; those of the system by default."),
    certificate: z.string().min(1).optional().describe('A file with our own certificate (PEM), where the servers ask for one.'),
    key: credential.optional().describe('The key of that certificate (PEM).'),
  })
  .refine((value) => (value.certificate === undefined) === (value.key === undefined), {
    error: 'needs both certificate and key, or neither',
  })
  .describe('The servers prove who they are, and all that is said is encrypted. Needed for any server beyond this machine.')

export default z
  .strictObject({
    nats: z.array(address).min(1).max(16).describe('The servers of a NATS cluster with JetStream: ["nats://10.0.0.1:4222", …].'),
    name: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,32}$/, 'must be 1 to 32 of A-Z a-z 0-9 _ -')
      .default('fairlead')
      .describe('What the names of our buckets begin with. Machines that form one system have the same.'),
    replicas: z
      .union([z.literal(1), z.literal(3), z.literal(5)])
      .default(3)
      .describe('On how many servers each bucket lies when it is made: with 3, one may be lost.'),
    nkey: credential.optional().describe('The seed of the nkey that proves to the servers who we are (nk -gen user).'),
    tls: tls.optional(),
  })
  .refine((value) => value.tls !== undefined || value.nats.every((one) => !URL.canParse(one) || isLoopback(hostOf(one))), {
    error: 'would be readable and changeable on the way: add a table cluster.tls for servers beyond this machine',
    path: ['nats'],
  })
  .describe('A NATS cluster that keeps what several machines share.')
