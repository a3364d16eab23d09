// Asks a person at a terminal for a passphrase: what is typed is not shown.
import { Writable } from 'node:stream'
import { faults } from '../../kernel/fault.ts'
import { Secret } from '../../kernel/secret.ts'
import type { Context } from './command.ts'
import { isPersonAt } from './confirm.ts'

const fault = faults('passphrase', {
  nobody_to_ask: (d: { hint: string }) => ({
    kind: 'unauthenticated',
    message: 'a passphrase is needed, and there is no terminal to ask at',
    hint: d.hint,
  }),
  not_given: () => ({ kind: 'usage', message: 'no passphrase was typed', hint: 'it has at least one character' }),
  too_long: () => ({ kind: 'usage', message: `a passphrase has no more than ${maxLength} characters`, hint: 'choose a shorter one' }),
  differs: () => ({ kind: 'usage', message: 'the two passphrases differ', hint: 'nothing was changed; try again' }),
})

const maxLength = 1_024

type Asking = Pick<Context, 'terminal' | 'stdin' | 'signal'>

/** Where no one can be asked: says why the passphrase is needed and how else to give it. Fault `passphrase.nobody_to_ask`. */
export function needPerson({ stdin }: Asking, hint: string): void {
  if (!isPersonAt(stdin)) throw fault.nobody_to_ask({ hint })
}

/** The passphrase that a person types. Rejects when the command is to stop. Faults: `passphrase.not_given` (Ctrl-C, Ctrl-D or an empty line), `passphrase.too_long`. */
export async function askSecret({ terminal, stdin, signal }: Asking, question: string): Promise<Secret> {
  signal.throwIfAborted()
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const { createInterface } = await import('node:readline') // most commands ask nobody
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true, historySize: 0 }) // it edits the line, and echoes it nowhere
  terminal.log(`${question} (not shown):`) // not a note: with --json, too, somebody is asked
  try {
    const text = await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      lines.once('SIGINT', () => resolve(''))
      lines.once('close', () => resolve(''))
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
    if (text === '') throw fault.not_given({})
    if (text.length > maxLength) throw fault.too_long({})
    return new Secret(text)
  } finally {
    lines.close()
  }
}

/** A new passphrase, typed twice. Faults of `askSecret`; `passphrase.differs`. */
export async function askNewSecret(asking: Asking, question: string): Promise<Secret> {
  const first = await askSecret(asking, question)
  const second = await askSecret(asking, 'once more')
  if (first.reveal() !== second.reveal()) throw fault.differs({})
  return first
}
