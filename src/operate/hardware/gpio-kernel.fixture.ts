// A made-up GPIO chip for tests: the keeper's real program talks to it as to the kernel, and what it did to each line can be seen from outside.
//
// Python's own `fcntl.ioctl` is replaced, before the program starts, by one that answers as linux/gpio.h says, out of a file for each line. A line is held as long as
// whoever asked for it lives (a lock of the file system), and every ioctl is written down.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type FakeLine = { direction: 'in' | 'out'; value: 0 | 1; pull: number; consumer: string }

const kernel = (lines: string, label: string, count: number): string => `
import errno, fcntl, json, os, struct
real, folder, label, count = fcntl.ioctl, ${JSON.stringify(lines)}, ${JSON.stringify(label)}, ${count}
def load(n):
    with open(folder + '/' + n) as file:
        return json.load(file)
def save(n, state, what):
    with open(folder + '/' + n + '.new', 'w') as file:
        json.dump(state, file)
    os.rename(folder + '/' + n + '.new', folder + '/' + n)
    with open(folder + '/log', 'a') as file:
        file.write(what + ' ' + n + '\\n')
def lock(n):
    fd = os.open(folder + '/' + n + '.lock', os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise OSError(errno.EBUSY, 'busy')
    return fd
def is_held(n):
    try:
        os.close(lock(n))
        return False
    except OSError:
        return True
def ioctl(fd, op, data, *rest):
    path = os.readlink('/proc/self/fd/%d' % fd)
    if op == 0x8044B401:
        struct.pack_into('32s32sI', data, 0, os.path.basename(path).encode(), label.encode(), count)
    elif op == 0xC100B405:
        n = struct.unpack_from('I', data, 64)[0]
        if n >= count:
            raise OSError(errno.EINVAL, 'no such line')
        s, held = load(str(n)), is_held(str(n))
        flags = (1 if held else 0) | (8 if s['direction'] == 'out' else 4) | s['pull']
        struct.pack_into('32s32sIIQ', data, 0, ('L%d' % n).encode(), s['consumer'].encode() if held else b'', n, 0, flags)
    elif op == 0xC250B407:
        n = struct.unpack_from('I', data, 0)[0]
        if struct.unpack_from('Q', data, 288)[0] != 0:
            raise OSError(errno.EINVAL, 'not as is')
        struct.pack_into('i', data, 588, lock(str(n)))
        s = load(str(n))
        s['consumer'] = data[256:288].split(b'\\0')[0].decode()
        save(str(n), s, 'request')
    elif path.startswith(folder):
        n = os.path.basename(path)[:-5]
        s = load(n)
        if op == 0xC010B40E:
            struct.pack_into('QQ', data, 0, s['value'], 1)
        elif op == 0xC010B40F:
            if s['direction'] != 'out':
                raise OSError(errno.EPERM, 'an input')
            s['value'] = struct.unpack_from('Q', data, 0)[0]
            save(n, s, 'set %d' % s['value'])
        elif op == 0xC110B40D:
            flags, attributes = struct.unpack_from('QI', data, 0)
            s['direction'] = 'out' if flags & 8 else 'in'
            s['pull'] = flags & 0x700
            if attributes:
                kind, _, value, mask = struct.unpack_from('IIQQ', data, 32)
                assert kind == 2 and mask == 1
                s['value'] = value
            save(n, s, 'configure ' + s['direction'])
    else:
        return real(fd, op, data, *rest)
    return 0
fcntl.ioctl = ioctl
`

export type FakeChip = {
  line(pin: number): FakeLine
  set(pin: number, line: Partial<FakeLine>): void
  /** What was done to the lines, in order: `configure out 17`. */
  log(): string[]
}

/** Puts a chip of `count` lines, all inputs, into the made-up machine below `root`. */
export function addFakeChip(root: string, { label = 'gpio-fake', count = 28, name = 'gpiochip0' } = {}): FakeChip {
  const lines = join(root, 'lines')
  for (const folder of ['dev', 'usr/bin', 'python', 'lines']) mkdirSync(join(root, folder), { recursive: true })
  const path = (pin: number): string => join(lines, String(pin))
  for (let pin = 0; pin < count; pin++) writeFileSync(path(pin), JSON.stringify({ direction: 'in', value: 0, pull: 0, consumer: '' }))
  writeFileSync(join(lines, 'log'), '')
  writeFileSync(join(root, 'dev', name), '')
  writeFileSync(join(root, 'python/sitecustomize.py'), kernel(lines, label, count))
  const stub = `#!/bin/sh\necho $$ >'${join(root, 'pid')}'\nshift\nPYTHONPATH='${join(root, 'python')}' exec /usr/bin/python3 "$@"\n` // without -I, which would leave it out
  writeFileSync(join(root, 'usr/bin/python3'), stub, { mode: 0o755 })
  const line = (pin: number): FakeLine => JSON.parse(readFileSync(path(pin), 'utf8')) as FakeLine
  return {
    line,
    set: (pin, changed) => writeFileSync(path(pin), JSON.stringify({ ...line(pin), ...changed })),
    log: () => readFileSync(join(lines, 'log'), 'utf8').split('\n').filter(Boolean),
  }
}
