// The keychain of the operating system as a place that remembers the passphrase of a wallet: the Secret Service of a Linux desktop (`secret-tool`), or that of
// macOS (`security`). A secret goes to either of them by its standard input, never in argv.
import { exec, type ExecResult } from '../../kernel/exec.ts'
import { asFault, faults } from '../../kernel/fault.ts'
import { randomBytes } from '../../kernel/random.ts'
import { Secret } from '../../kernel/secret.ts'

export const fault = faults('keychain', {
  none: (d: { problem: string }) => ({
    kind: 'unavailable',
    message: `there is no keychain to be reached here: ${d.problem}`,
    hint: 'on Linux it needs secret-tool (Debian: libsecret-tools) and a session with a Secret Service, such as gnome-keyring; or name where the passphrase is kept: --passphrase-file FILE, or --passphrase-env NAME',
  }),
  silent: (d: { command: string; patienceMs: number }) => ({
    kind: 'unavailable',
    message: `the keychain did not answer within ${d.patienceMs / 1_000} s (${d.command}): it may wait for somebody to unlock it`,
    hint: 'unlock it, then try again',
  }),
  locked: (d: { problem: string }) => ({
    kind: 'unauthenticated',
    message: `the keychain is locked: ${d.problem}`,
    hint: 'unlock it (log in at the desktop, or use its own program), or name where the passphrase is kept: --passphrase-file FILE, or --passphrase-env NAME',
  }),
  no_item: (d: { item: string }) => ({
    kind: 'unauthenticated',
    message: `the keychain does not hold the passphrase of this wallet (fairlead, ${d.item})`,
    hint: 'name where it is kept: --passphrase-file FILE, or --passphrase-env NAME; to have it remembered here: fairlead reach passphrase --keychain',
  }),
  not_kept: (d: { problem: string }) => ({
    kind: 'unavailable',
    message: `the keychain did not take the passphrase: ${d.problem}`,
    hint: 'is it locked? unlock it, then try again',
  }),
  too_long: () => ({
    kind: 'usage',
    message: `a passphrase in the keychain has no more than ${maxSecretBytes} bytes`,
    hint: 'choose a shorter one',
  }),
})

/** `security` reads its commands in lines of at most 4 KiB. */
const maxSecretBytes = 2_048
const patienceMs = 5_000
const service = 'fairlead'

/** Faults of each: `keychain.none`, `.silent`, `.locked`. */
export interface Keychain {
  /** Keeps the secret as `item`, and reads it back; faults `keychain.not_kept`, `.too_long` besides. The label is for people. */
  store(item: string, label: string, secret: Secret): Promise<void>
  /** Never asks anybody; fault `keychain.no_item`. */
  lookup(item: string): Promise<Secret>
  /** No fault when it is not there. */
  remove(item: string): Promise<void>
}

export type KeychainNeeds = {
  readonly env: Readonly<Record<string, string | undefined>>
  /** `process.platform`. */
  readonly platform: string
}

export type KeychainSettings = {
  /** How long keeping a secret may take: longer where somebody can be asked to unlock it. 5 s by default. */
  readonly storeMs?: number
}

/** A name of an item that nobody has yet. */
export function newItem(): string {
  return Buffer.from(randomBytes(16)).toString('hex')
}

/** Whether the text may be the name of an item: it goes into argv. */
export function isItem(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{32}$/.test(text)
}

type Run = (argv: readonly [string, ...string[]], input?: string, timeoutMs?: number) => Promise<ExecResult>

/** What each system's program is told, and how its answer is read. `text` is printable ASCII: one of the two shows anything else in another way. */
type Program = {
  keep(run: Run, item: string, label: string, text: string, timeoutMs: number): Promise<ExecResult>
  read(run: Run, item: string): Promise<{ readonly text: string | undefined } | { readonly lockedBy: string }>
  drop(run: Run, item: string): Promise<unknown>
}

/** The keychain of this system. Nothing is asked before it is needed. */
export function keychain({ env, platform }: KeychainNeeds, { storeMs = patienceMs }: KeychainSettings = {}): Keychain {
  const program = platform === 'darwin' ? security : secretTool
  // no DISPLAY: where there is no session bus, none is to be started
  const names = ['PATH', 'HOME', 'USER', 'DBUS_SESSION_BUS_ADDRESS', 'XDG_RUNTIME_DIR']
  const childEnv = { ...Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))), LC_ALL: 'C' }
  const run: Run = async (argv, input = '', timeoutMs = patienceMs) => {
    try {
      return await exec(argv, { env: childEnv, input, timeoutMs })
    } catch (error) {
      const { code, message } = asFault(error)
      if (code === 'exec.timed_out') throw fault.silent({ command: argv[0], patienceMs: timeoutMs }, error)
      throw fault.none({ problem: message }, error)
    }
  }
  const lookup = async (item: string): Promise<Secret> => {
    const found = await program.read(run, item)
    if ('lockedBy' in found) throw fault.locked({ problem: found.lockedBy })
    if (found.text === undefined) throw fault.no_item({ item })
    return new Secret(Buffer.from(found.text, 'base64url').toString('utf8'))
  }
  return {
    lookup,
    async store(item, label, secret) {
      const bytes = Buffer.from(secret.reveal())
      if (bytes.length > maxSecretBytes) throw fault.too_long({})
      const text = bytes.toString('base64url')
      const { exitCode, stderr } = await program.keep(run, item, label.replaceAll(/[^\p{L}\p{N} ._-]/gu, '_'), text, storeMs)
      const kept = exitCode === 0 ? await lookup(item) : undefined
      if (kept?.reveal() !== secret.reveal())
        throw fault.not_kept({ problem: said(stderr.replaceAll(text, '[redacted]')) || `exit code ${exitCode}` })
    },
    remove: async (item) => void (await program.drop(run, item)),
  }
}

/** The last line that a program said. */
function said(stderr: string): string {
  return (stderr.trim().split('\n').at(-1) ?? '').replaceAll(/\p{C}/gu, ' ').slice(0, 200)
}

const secretTool: Program = {
  keep: (run, item, label, text, timeoutMs) =>
    run(['secret-tool', 'store', `--label=${label}`, 'service', service, 'item', item], text, timeoutMs),
  async read(run, item) {
    // "lookup" would have somebody asked to unlock it, "search" only says that it is locked
    const { exitCode, stdout, stderr } = await run(['secret-tool', 'search', 'service', service, 'item', item])
    if (exitCode !== 0) throw fault.none({ problem: said(stderr) || `secret-tool ended with ${exitCode}` })
    const text = /^secret = ([\w-]+)$/m.exec(stdout)?.[1]
    return text === undefined && stdout.trim() !== ''
      ? { lockedBy: 'it shows that it holds the passphrase, and does not give it' }
      : { text }
  },
  drop: (run, item) => run(['secret-tool', 'clear', 'service', service, 'item', item]),
}

/** Exit codes of `security`: the low byte of errSecItemNotFound and errSecInteractionNotAllowed. */
const notFound = 44
const mayNotAsk = 36

const security: Program = {
  keep: (run, item, label, text, timeoutMs) =>
    run(['security', '-i'], `add-generic-password -U -a ${item} -s ${service} -l "${label}" -w ${text}\n`, timeoutMs),
  async read(run, item) {
    const { exitCode, stdout, stderr } = await run(['security', 'find-generic-password', '-a', item, '-s', service, '-w'])
    if (exitCode === notFound) return { text: undefined }
    if (exitCode === mayNotAsk) return { lockedBy: said(stderr) }
    if (exitCode !== 0) throw fault.none({ problem: said(stderr) || `security ended with ${exitCode}` })
    return { text: stdout.trim() }
  },
  drop: (run, item) => run(['security', 'delete-generic-password', '-a', item, '-s', service]),
}
