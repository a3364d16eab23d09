// Every way in which starting or keeping a child process can fail, with the way to mend it.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('supervise', {
  command_not_found: (d: { name: string; command: string; path: string }) => ({
    kind: 'config',
    message: `${d.name} cannot start: the command ${d.command} was not found`,
    hint: d.command.includes('/') ? `check the path ${d.path}` : `install ${d.command}, or name it by its full path; PATH is ${d.path}`,
  }),
  command_not_executable: (d: { name: string; command: string; file: string }) => ({
    kind: 'config',
    message: `${d.name} cannot start: ${d.file} is no program that this user may run`,
    hint: `make it executable (chmod +x ${d.file}), or name the program that runs it`,
  }),
  command_unusable: (d: { name: string; command: string; problem: string }) => ({
    kind: 'config',
    message: `${d.name} cannot start: the command ${JSON.stringify(d.command)} ${d.problem}`,
    hint: 'name a program without such characters, for example by a symbolic link to it',
  }),
  folder_missing: (d: { name: string; folder: string }) => ({
    kind: 'config',
    message: `${d.name} cannot start: its working folder ${d.folder} does not exist`,
    hint: `create it (mkdir -p ${d.folder}), or name another one`,
  }),
  environment_unusable: (d: { name: string; variable: string }) => ({
    kind: 'config',
    message: `${d.name} cannot start: the environment variable ${JSON.stringify(d.variable)} cannot be handed to it`,
    hint: 'a name is letters, digits and _, and does not begin with a digit; a value has no NUL character',
  }),
  failed_to_start: (d: { name: string; command: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.name} did not start: ${d.command}: ${d.reason}`,
    hint: 'look at the limits of this user (ulimit -a) and at the free memory',
  }),
  no_guard: (d: { timeoutMs: number }) => ({
    kind: 'unavailable',
    message: `the guard that ends children with their owner did not answer within ${d.timeoutMs} ms, so nothing was started`,
    hint: 'check that /bin/sh runs here, and the limits of this user (ulimit -u)',
  }),
  bad_words: (d: { line: string; problem: string }) => ({
    kind: 'usage',
    message: `not a command line: ${d.problem} in ${JSON.stringify(d.line)}`,
    hint: `quote as in a shell: "npx -y server '/a folder'"`,
  }),
})
