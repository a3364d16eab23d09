// Asks a person at a terminal for a yes.
import type { Context } from './command.ts'

/** Whether somebody is there who can be asked. */
export function isPersonAt(stdin: Context['stdin']): boolean {
  return 'isTTY' in stdin && stdin.isTTY === true
}

/** Whether the answer to the question is yes; an empty line, the end of the input and everything else mean no. Rejects when the command is to stop. */
export async function confirm(
  { terminal, stdin, signal }: Pick<Context, 'terminal' | 'stdin' | 'signal'>,
  question: string,
): Promise<boolean> {
  signal.throwIfAborted()
  terminal.log(`${question} [y/N]`) // not a note: with --json, too, somebody is asked
  const { createInterface } = await import('node:readline') // most commands ask nobody
  const lines = createInterface({ input: stdin, terminal: false })
  try {
    return await new Promise((resolve, reject) => {
      lines.once('line', (line) => resolve(/^\s*y(?:es)?\s*$/i.test(line)))
      lines.once('close', () => resolve(false))
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
  } finally {
    lines.close()
  }
}
