// The operations on tokens as the node serves them.
import type { Handlers } from '../../base/control/api.ts'
import type { tokenApi } from './api.ts'
import type { Tokens } from './tokens.ts'
import type { Validator } from './validator.ts'

export function tokenHandlers({
  tokens,
  validator,
}: {
  readonly tokens: Tokens
  readonly validator?: Validator | undefined
}): Handlers<typeof tokenApi> {
  return {
    'new-token': async (asked) => tokens.mint(asked),
    'list-tokens': async () => tokens.list().map(({ services, ...token }) => ({ ...token, services: [...services] })),
    'revoke-token': async ({ name }) => {
      tokens.revoke(name)
      validator?.forget()
      return { name }
    },
  }
}
