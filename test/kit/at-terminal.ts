// A command with a person at its terminal: a pseudo terminal (script, of bsdutils) on which answers are typed when they are asked for.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export type Typed = { readonly exitCode: number; readonly shown: string }

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/**
 * Runs `argv`, types each answer when its question has been shown, and resolves with all that the terminal showed. `whileAsked` is called before the first
 * answer is typed.
 */
export async function atTerminal(
  argv: readonly string[],
  env: Record<string, string>,
  answers: readonly (readonly [question: string, answer: string])[],
  whileAsked: () => void = () => {},
): Promise<Typed> {
  const child = spawn('script', ['-qec', `exec ${argv.map(quoted).join(' ')}`, '/dev/null'], {
    env: { ...env, SHELL: '/bin/sh', TERM: 'dumb' },
  })
  let [shown, seen, next] = ['', 0, 0]
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
    for (let answer = answers[next]; answer && shown.includes(answer[0], seen); answer = answers[next]) {
      seen = shown.indexOf(answer[0], seen) + answer[0].length
      if (next === 0) whileAsked()
      next++
      child.stdin.write(`${answer[1]}\r`)
    }
  })
  child.stdin.on('error', () => {})
  const [exitCode] = (await once(child, 'close')) as [number]
  return { exitCode, shown }
}
