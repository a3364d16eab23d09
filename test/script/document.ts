// Reads a page of docs/runbooks as a script: what its code blocks do is said in comments before them, which a reader of the page does not see.
//
//   <!-- on linux, mac: proves registered -->          the next block is run by a shell on these hosts; exit code 0, or `exit 3`
//   <!-- on linux, window serve: proves … -->          it goes on in a terminal of that name
//   <!-- on mac, file ~/notes.txt: proves … -->        the next block is what that file holds
//   <!-- hear serve: proves … -->                      that terminal shows more
//   <!-- stop serve: proves … -->                      Ctrl-C in it
//   <!-- act restart: proves … -->                     what a person does without a shell: the test knows how
//   <!-- note: … -->                                   nothing to do
//
// Lines of a comment after its first are a block that the reader does not see. A block of `text` holds what a step shows: see pattern.ts.

export type Doing =
  | { readonly does: 'run'; readonly hosts: readonly string[]; readonly script: string; readonly exitCode: number }
  | { readonly does: 'open'; readonly hosts: readonly string[]; readonly window: string; readonly script: string }
  | { readonly does: 'write'; readonly hosts: readonly string[]; readonly path: string; readonly text: string }
  | { readonly does: 'hear' | 'stop'; readonly window: string }
  | { readonly does: 'act'; readonly act: string }

export type Step = {
  /** Of the annotation. */
  readonly line: number
  /** The headings it stands under, outermost first. */
  readonly section: string
  readonly doing: Doing
  /** What it shows; undefined when the page does not say. */
  readonly shows: string | undefined
  /** Ids of requirements. */
  readonly proves: readonly string[]
}

type Head = {
  readonly words: ReadonlyMap<string, string>
  readonly proves: readonly string[]
  readonly line: number
  readonly section: string
}
type Block = { readonly language: string; readonly text: string }

/** The steps of a page, in order. Throws, naming the line, when a block belongs to no annotation or an annotation lacks its block. */
export function stepsOf(page: string): Step[] {
  const steps: Step[] = []
  const headings: string[] = []
  let waiting: Head | undefined
  const lines = page.split('\n')
  const fail = (line: number, problem: string): never => {
    throw new Error(`line ${line}: ${problem}`)
  }
  const finish = (head: Head, block?: Block): void => {
    steps.push({ line: head.line, section: head.section, doing: doingOf(head, block, fail), shows: undefined, proves: head.proves })
  }
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1
    const text = lines[at]!
    const heading = /^(#+) (.+)$/.exec(text)
    if (heading) headings.splice(heading[1]!.length - 1, Infinity, heading[2]!)
    const opening = /^( *)```(\w*)$/.exec(text)
    if (opening) {
      const end = lines.indexOf(`${opening[1]!}\`\`\``, at + 1)
      const block = {
        language: opening[2]!,
        text: lines
          .slice(at + 1, end)
          .map((inside) => inside.slice(opening[1]!.length))
          .join('\n'),
      }
      if (end < 0) fail(line, 'the block has no end')
      if (block.language !== 'text') {
        if (!waiting) fail(line, 'no annotation says what to do with this block')
        finish(waiting!, block)
        waiting = undefined
      } else {
        const last = steps.at(-1)
        if (waiting || !last || last.shows !== undefined) fail(line, 'this text follows no step that could show it')
        steps[steps.length - 1] = { ...last!, shows: block.text }
      }
      at = end
      continue
    }
    if (!text.trimStart().startsWith('<!--')) continue
    const end = lines.findIndex((later, index) => index >= at && later.endsWith('-->'))
    if (end < 0) fail(line, 'the comment has no end')
    const [first, ...hidden] = lines
      .slice(at, end + 1)
      .join('\n')
      .trim()
      .slice(4, -3)
      .split('\n')
    at = end
    if (first!.startsWith(' note:')) continue
    if (waiting) fail(waiting.line, 'the annotation lacks its block')
    const head = headOf(first!, line, headings.slice(1).join(': '), fail)
    if (hidden.length > 0) finish(head, { language: 'bash', text: hidden.join('\n').trim() })
    else if (head.words.has('on')) waiting = head
    else finish(head)
  }
  if (waiting) fail(waiting.line, 'the annotation lacks its block')
  return steps
}

type Fail = (line: number, problem: string) => never

const verbs = ['on', 'window', 'file', 'exit', 'hear', 'stop', 'act']

function headOf(text: string, line: number, section: string, fail: Fail): Head {
  const [what, proofs] = text.split(/: proves\b/)
  const words = new Map<string, string>()
  let last = ''
  for (const part of what!.split(',').map((words) => words.trim())) {
    const [verb = '', ...rest] = part.split(' ')
    if (verbs.includes(verb)) words.set((last = verb), rest.join(' '))
    else if (last === 'on') words.set('on', `${words.get('on')} ${part}`)
    else fail(line, `nobody knows how to "${part}"`)
  }
  return { words, proves: (proofs ?? '').split(/[\s,]+/).filter(Boolean), line, section }
}

function doingOf({ words, line }: Head, block: Block | undefined, fail: Fail): Doing {
  const hosts = words.get('on')?.split(' ') ?? []
  const [window, path, act, hear, stop] = ['window', 'file', 'act', 'hear', 'stop'].map((verb) => words.get(verb))
  if (hear !== undefined) return { does: 'hear', window: hear }
  if (stop !== undefined) return { does: 'stop', window: stop }
  if (act !== undefined) return { does: 'act', act }
  if (hosts.length === 0 || block === undefined) return fail(line, 'on which host?')
  if (path !== undefined) return { does: 'write', hosts, path, text: block.text }
  if (window !== undefined) return { does: 'open', hosts, window, script: block.text }
  return { does: 'run', hosts, script: block.text, exitCode: Number(words.get('exit') ?? 0) }
}
