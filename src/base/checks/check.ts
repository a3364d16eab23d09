// What a check is: one question about how things stand, answered with the evidence that was seen and with what to do about it.

/** `unknown`: it could not be told, or was not asked because something that it rests on is not good. */
export type Verdict = 'good' | 'bad' | 'unknown'

/** What a check answers. `about` tells answers apart when it looks at several things. `remedy` is the next thing to do, as a command where there is one. */
export type Answer = { readonly verdict: Verdict; readonly evidence: string; readonly about?: string; readonly remedy?: string }

/** An answer with the name of its check. */
export type Finding = Answer & { readonly name: string }

/** One check, of what a `Subject` gives access to. Its name is that of its file. */
export type Check<Subject> = {
  /** What is asked, for a person who waits for it. */
  readonly title: string
  /** Names of checks that must not have found anything bad, else this one is not asked. */
  readonly needs?: readonly string[]
  /** Names of checks that come before this one, whatever they find. */
  readonly after?: readonly string[]
  /** 10 s by default. */
  readonly timeoutMs?: number
  /** No answers at all when the question does not arise. A thrown fault is a bad finding, its hint the remedy. */
  run(subject: Subject, signal: AbortSignal): Promise<readonly Answer[]>
}

/** A check as it was loaded. */
export type NamedCheck<Subject> = { readonly name: string; readonly check: Check<Subject> }

/** All is well, as the evidence shows. */
export function good(evidence: string, about?: string): Answer {
  return { verdict: 'good', evidence, ...(about === undefined ? {} : { about }) }
}

/** Something is wrong; `remedy` mends it. */
export function bad(evidence: string, remedy?: string, about?: string): Answer {
  return { verdict: 'bad', evidence, ...(remedy === undefined ? {} : { remedy }), ...(about === undefined ? {} : { about }) }
}

/** It cannot be told; after `remedy` it can. */
export function unknown(evidence: string, remedy?: string): Answer {
  return { verdict: 'unknown', evidence, ...(remedy === undefined ? {} : { remedy }) }
}
