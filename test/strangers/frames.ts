// Compares what was said over a direct connection with what was said through the gate: byte for byte, but for ids, clocks, what a rule changes and what the gate asks by itself.
// It knows nothing of the gate's own code, so that no mistake of that can hide in it.

/** Something that is another one each time a server runs, and what stands for it. */
export type Clock = readonly [pattern: RegExp, instead: string]

/** What one end was given, or gave: whole frames, in order. */
export type Frames = readonly string[]

export type Difference = { readonly where: string; readonly direct: string | undefined; readonly through: string | undefined }

type Place = readonly [start: number, end: number, path: string]

const idPlaces = new Set([
  'id',
  'params.requestId',
  'params.progressToken',
  'params._meta.progressToken',
  'params._meta.io.modelcontextprotocol/subscriptionId',
  'result._meta.io.modelcontextprotocol/subscriptionId',
])

/** Where every value of an object stands that is reached by members alone, in a text that JSON.parse accepts. */
function places(text: string): Place[] {
  const tokens = [...text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g)]
  const found: Place[] = []
  let at = 0
  const isNext = (token: string): boolean => tokens[at]![0] === token
  const read = (path: string | undefined): void => {
    const first = tokens[at++]!
    const close = first[0] === '{' ? '}' : ']'
    if (first[0] === '{' || first[0] === '[') {
      while (!isNext(close)) {
        if (isNext(',')) at++
        if (close === ']') read(undefined)
        else {
          const key = JSON.parse(tokens[at]![0]) as string
          at += 2 // and the colon
          read(path === undefined ? undefined : path === '' ? key : `${path}.${key}`)
        }
      }
      at++
    }
    const last = tokens[at - 1]!
    if (path !== undefined) found.push([first.index, last.index + last[0].length, path])
  }
  read('')
  return found
}

/** The same frames with ids and progress tokens named by the order in which they first appear. */
function withNamedIds(frames: Frames): string[] {
  const names = { id: new Map<string, string>(), token: new Map<string, string>() }
  const nameOf = (kind: keyof typeof names, value: string): string => {
    const known = names[kind]
    if (!known.has(value)) known.set(value, `<${kind} ${known.size + 1}>`)
    return known.get(value)!
  }
  return frames.map((frame) => {
    const ids = places(frame).filter(([, , path]) => idPlaces.has(path))
    let text = ''
    let at = 0
    for (const [start, end, path] of ids.sort(([a], [b]) => a - b)) {
      text += frame.slice(at, start) + nameOf(path.endsWith('progressToken') ? 'token' : 'id', frame.slice(start, end))
      at = end
    }
    return text + frame.slice(at)
  })
}

const stopped = (frames: Frames, clocks: readonly Clock[]): string[] =>
  frames.map((frame) => clocks.reduce((text, [pattern, instead]) => text.replace(pattern, instead), frame))

function unequal(where: string, direct: Frames, through: Frames): Difference[] {
  const longer = direct.length > through.length ? direct : through
  return [...longer.keys()]
    .filter((index) => direct[index] !== through[index])
    .map((index) => ({ where: `${where} ${index + 1}`, direct: direct[index], through: through[index] }))
}

type Head = {
  readonly id?: unknown
  readonly method?: string
  readonly params?: { readonly _meta?: { readonly 'io.modelcontextprotocol/clientInfo'?: { readonly name?: string } } }
}
const headOf = (frame: string): Head => JSON.parse(frame) as Head

export type Sides = { readonly direct: Frames; readonly through: Frames }

/**
 * What a client was given: its ids are its own, so they are the same. Answers are one sequence, and what the server says unasked is one for each method: which of
 * two comes first is open where they take two ways.
 */
export function clientDifferences({ direct, through }: Sides, clocks: readonly Clock[]): Difference[] {
  const kindOf = (frame: string): string => headOf(frame).method ?? 'answer'
  const kinds = [...new Set([...direct, ...through].map(kindOf))].sort()
  return kinds.flatMap((kind) => {
    const ofKind = (frames: Frames): string[] =>
      stopped(
        frames.filter((frame) => kindOf(frame) === kind),
        clocks,
      )
    return unequal(`the client was given: ${kind}`, ofKind(direct).map(behindRules), ofKind(through))
  })
}

/** What rules change in every list and answer: what caches may give to everybody without the gate is, behind rules, for whom it was given to. */
const behindRules = (frame: string): string => frame.replaceAll('"cacheScope":"public"', '"cacheScope":"private"')

const leastOwnId = 2 ** 30

/**
 * What the gate passed on, without what it asked by itself: such ids are larger than any of ours or, where ids are renamed, it says its name. Before a call of a tool that it does not know it looks
 * at the list, in the client's name: that is one list more than the client asked for.
 */
export function passedOn({ direct, through }: Sides): Frames {
  const isList = (frame: string): boolean => headOf(frame).method === 'tools/list'
  let lists = direct.filter(isList).length
  return through.filter((frame) => {
    const { id, params } = headOf(frame)
    if (Number(id ?? 0) >= leastOwnId || params?._meta?.['io.modelcontextprotocol/clientInfo']?.name === 'fairlead') return false
    return !isList(frame) || lists-- > 0
  })
}

/** What a server was given, in order. The gate may rename ids. */
export function serverDifferences({ direct, through }: Sides, clocks: readonly Clock[]): Difference[] {
  return unequal(
    'the server was given: message',
    stopped(withNamedIds(direct), clocks),
    stopped(withNamedIds(passedOn({ direct, through })), clocks),
  )
}
