// Why something that was asked could not be done: the fault of a daemon, or what kept the gate from answering.

type Told = { readonly code?: unknown; readonly message?: unknown; readonly hint?: unknown; readonly kind?: unknown }

export class Failure extends Error {
  readonly code: string
  readonly hint: string | undefined
  /** Nobody is signed in any more, or somebody who may no longer look. */
  readonly isSignedOut: boolean

  constructor({ code, message, hint, kind }: Told) {
    super(typeof message === 'string' ? message : 'something went wrong')
    this.code = typeof code === 'string' ? code : 'dashboard.unknown'
    this.hint = typeof hint === 'string' ? hint : undefined
    this.isSignedOut = this.code.startsWith('dashboard.') && (kind === 'unauthenticated' || this.code === 'dashboard.not_for_you')
  }
}

/** What a person is told of anything that was thrown. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error
  return new Failure({ message: 'the gate does not answer', hint: 'is it running? The page tries again by itself' })
}
