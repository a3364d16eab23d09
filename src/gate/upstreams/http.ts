// An upstream that is a Streamable HTTP URL. Our own token goes with every request; a client's never does.
import { HttpLeg } from '../../base/mcp/leg/http.ts'
import type { UpstreamKind } from '../upstream-kind.ts'

const http: UpstreamKind = {
  key: 'url',
  async transport({ client, clock, limits, reveal }, name, { url, token }) {
    const headers: Record<string, string> = token ? { authorization: `Bearer ${(await reveal(token)).reveal()}` } : {}
    return {
      isCostly: false,
      open: async (era, side, sessionId) =>
        new HttpLeg({
          client,
          clock,
          url: new URL(url!),
          era,
          name,
          headers,
          side,
          limits,
          ...(sessionId === undefined ? {} : { sessionId }),
        }),
    }
  },
}

export default http
