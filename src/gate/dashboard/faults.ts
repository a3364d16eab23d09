// Every way in which the dashboard refuses somebody.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('dashboard', {
  not_signed_in: () => ({
    kind: 'unauthenticated',
    message: 'nobody is signed in here',
    hint: 'make a link and open it: fairlead gate sign-in',
  }),
  bad_code: () => ({
    kind: 'unauthenticated',
    message: 'this link is not good: it was used before, or is too old',
    hint: 'make another one and open it: fairlead gate sign-in',
  }),
  not_for_you: (d: { person: string }) => ({
    kind: 'denied',
    message: `the dashboard is not for ${d.person}`,
    hint: 'it is for principals with dashboard = "observe" or "change" in the gate\'s configuration',
  }),
  only_observes: (d: { person: string; operation: string }) => ({
    kind: 'denied',
    message: `${d.person} may look, and ${d.operation} changes something`,
    hint: 'who may change things has dashboard = "change" in the gate\'s configuration',
  }),
  foreign_page: (d: { problem: string }) => ({
    kind: 'denied',
    message: `this does not come from a page of the dashboard: ${d.problem}`,
    hint: 'other programs send the header x-fairlead: dashboard',
  }),
  no_daemon: (d: { id: string }) => ({
    kind: 'missing',
    message: `no daemon ${d.id} is known here`,
    hint: 'GET /api/daemons names those that there are',
  }),
  bad_ask: (d: { problem: string }) => ({ kind: 'usage', message: `what is asked for cannot be followed: ${d.problem}` }),
  too_many_streams: (d: { most: number }) => ({
    kind: 'limited',
    message: `${d.most} pages are open already`,
    hint: 'close some of them',
  }),
  no_path: (d: { path: string }) => ({ kind: 'missing', message: `there is nothing at ${d.path}` }),
  not_built: (d: { folder: string }) => ({
    kind: 'unavailable',
    message: `the pages of the dashboard are not in ${d.folder}`,
    hint: 'npm run build makes them; an executable that is one file has none: use the package',
  }),
  no_principal: (d: { known: readonly string[] }) => ({
    kind: 'missing',
    message: 'nobody of that name may use the dashboard',
    hint:
      d.known.length === 0
        ? 'write dashboard = "change" to a principal in the gate\'s configuration: [gate.principals.NAME]'
        : `who may: ${d.known.join(', ')}`,
  }),
})
