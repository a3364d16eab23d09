// Every way in which a token can fail. Two have names that the runbooks look for: UNAUTHENTICATED and PERMISSION_DENIED.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('token', {
  unauthenticated: (d: { reason: string }) => ({
    kind: 'unauthenticated',
    message: `UNAUTHENTICATED: ${d.reason}`,
    hint: 'get a new token, on the node: mcp token new NAME --role operator; then here: mcp login',
  }),
  denied: (d: { name: string; operation: string; service: string | undefined; needs: string }) => ({
    kind: 'denied',
    message: `PERMISSION_DENIED: ${d.name} may not ${d.operation}${d.service === undefined ? '' : ` ${d.service}`}: that takes the role ${d.needs}${d.service === undefined ? ' for all services' : ' for that service'}`,
    hint:
      d.service === undefined
        ? 'name one service that the token is for, or get a token with that role, on the node: mcp token new NAME --role ROLE'
        : 'get a token with that role, on the node: mcp token new NAME --role ROLE --service SERVICE',
  }),
  guest: (d: { name: string }) => ({
    kind: 'denied',
    message: `PERMISSION_DENIED: ${d.name} is a guest, and guests are let in nowhere`,
    hint: 'log in as somebody who is none: mcp login',
  }),
  stranger: (d: { peer: string }) => ({
    kind: 'denied',
    message: `PERMISSION_DENIED: ${d.peer} is not on this node's list of peers`,
    hint: 'add it on the node, in mcp-agent.toml: [[peers.allowed]] with id, name and role',
  }),
  no_validator: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `the token could not be checked: the validator does not answer as it should (${d.reason})`,
    hint: 'is it running, and reachable from the node? Tokens of the node itself work without it',
  }),
  name_taken: (d: { name: string }) => ({
    kind: 'conflict',
    message: `there is a token of the name ${d.name} already`,
    hint: `choose another name, or end that one: mcp token revoke ${d.name}`,
  }),
  none: (d: { name: string }) => ({ kind: 'missing', message: `there is no token of the name ${d.name}`, hint: 'see: mcp token list' }),
  too_many: (d: { most: number }) => ({
    kind: 'limited',
    message: `there are ${d.most} tokens already`,
    hint: 'revoke some: mcp token list',
  }),
  unreadable: (d: { path: string }) => ({
    kind: 'config',
    message: `${d.path} is not a list of tokens`,
    hint: 'put it back from a backup, or move it away: then nobody has a token, and new ones are made with mcp token new',
  }),
})
