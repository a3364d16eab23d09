// Every way in which a file fails to go out or to come in.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('transfer', {
  missing: (d: { path: string }) => ({ kind: 'missing', message: `there is no file ${d.path}`, hint: 'check how the path is spelled' }),
  no_file: (d: { path: string; what: string }) => ({
    kind: 'usage',
    message: `${d.path} is ${d.what}, and only files can be sent`,
    hint: d.what === 'a folder' ? `pack it first: tar czf folder.tar.gz ${JSON.stringify(d.path)}` : 'name a plain file',
  }),
  unreadable: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `cannot read ${d.path}: ${d.reason}`,
    hint: 'check that this user may read it',
  }),
  changed: (d: { path: string }) => ({
    kind: 'conflict',
    message: `${d.path} changed while it was read`,
    hint: 'wait until nobody writes it any more, or send a copy',
  }),
  damaged: (d: { expected: string; found: string }) => ({
    kind: 'conflict',
    message: `what arrived is not what was announced: its SHA-256 is ${d.found}, not ${d.expected}`,
    hint: 'it was dropped; send it again',
  }),
  too_long: (d: { sizeBytes: number }) => ({
    kind: 'usage',
    message: `more than the ${d.sizeBytes} bytes that were announced arrived`,
  }),
  underway: (d: { name: string }) => ({
    kind: 'limited',
    message: `${d.name} is coming in already`,
    hint: 'wait until that is done',
  }),
  no_room: (d: { folder: string; needsBytes: number }) => ({
    kind: 'unavailable',
    message: `no room on the disk of ${d.folder}: ${d.needsBytes} bytes more are needed`,
    hint: 'make room there, then send it again',
  }),
  unwritable: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `cannot write ${d.path}: ${d.reason}`,
    hint: 'check that this user may write its folder',
  }),
  in_the_way: (d: { path: string; what: string }) => ({
    kind: 'conflict',
    message: `${d.path} is ${d.what}, where this program keeps files of its own`,
    hint: 'remove it',
  }),
  too_many_alike: (d: { name: string; most: number }) => ({
    kind: 'conflict',
    message: `there are ${d.most} files named like ${d.name} already`,
    hint: 'move some of them elsewhere',
  }),
  too_many_items: (d: { folder: string; most: number; depth: number }) => ({
    kind: 'limited',
    message: `${d.folder} holds more than ${d.most} things, or folders deeper than ${d.depth}`,
    hint: 'keep what need not be saved (a cache) elsewhere',
  }),
  outside: (d: { path: string; problem: string }) => ({
    kind: 'denied',
    message: `${JSON.stringify(d.path)} is no path below the folder: ${d.problem}`,
    hint: 'name a file below it, such as certs/cert.pem',
  }),
})
