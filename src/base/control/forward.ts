// Answers the operations of a daemon by asking the daemon itself: for whoever stands in front of it and decides who may.
import type { Api, Call, CallOptions, Calls, Handlers, Saying } from './api.ts'

/** Uploads are left out: who needs one goes to the daemon. */
export type Forwardable<A extends Api> = { readonly [Name in keyof A as A[Name] extends { readonly upload: true } ? never : Name]: A[Name] }

type AnyCall = (input: unknown, options: CallOptions & { readonly onItem?: (item: unknown) => Promise<void> }) => Promise<unknown>

/** The operations that can be forwarded. */
export function forwardable<A extends Api>(api: A): Forwardable<A> {
  return Object.fromEntries(Object.entries(api).filter(([, { upload }]) => !upload)) as Forwardable<A>
}

/** Handlers whose every call is made at the far end, as whoever `calls` is there and on behalf of who called; items come and go one at a time, and who goes away ends the call there. */
export function forwarding<A extends Api>(api: A, calls: () => Calls<A>): Handlers<Forwardable<A>> {
  const all = calls as unknown as () => Readonly<Record<string, AnyCall>>
  const handlers = Object.keys(forwardable(api)).map((name) => [
    name,
    (input: unknown, { caller, signal, say }: Call & Partial<Saying<unknown>>) =>
      all()[name]!(input, { signal, onBehalfOf: caller.name, ...(say ? { onItem: say } : {}) }),
  ])
  return Object.fromEntries(handlers) as Handlers<Forwardable<A>>
}
