// The keeper of GPIO lines: a Python program, since Node has no ioctl, that speaks the kernel's own interface (linux/gpio.h, version 2, Linux 5.10 and later).
//
// A line is its requester's for as long as the requester lives: so one process holds what was set, does what was asked for later, and, however its owner ends, sees the
// end of its input, undoes what was for a time only, and leaves every output in its safe state. It needs nothing but Python itself. What it is asked is checked
// by gpio.ts; here is only what must happen beside the lines. Requests and answers are JSON, one a line; times are those of the monotonic clock.

/** `python3 -I -c SCRIPT DEV`: DEV is the folder of the devices, `/dev`. */
export const gpioScript = `
import errno, fcntl, json, os, re, select, signal, struct, sys, time

CHIP_INFO, LINE_INFO, GET_LINE, SET_CONFIG, GET_VALUES, SET_VALUES = 0x8044B401, 0xC100B405, 0xC250B407, 0xC110B40D, 0xC010B40E, 0xC010B40F
USED, INPUT, OUTPUT, PULL_UP, PULL_DOWN, NO_PULL = 1, 4, 8, 0x100, 0x200, 0x400
PULLS = {'up': PULL_UP, 'down': PULL_DOWN, 'none': NO_PULL}
SET_UP = INPUT | OUTPUT | PULL_UP | PULL_DOWN | NO_PULL
folder = sys.argv[1]
held = {}

def text(raw):
    return raw.split(b'\\0')[0].decode('utf-8', 'replace')

class Chip:
    def __init__(self, name):
        self.name = name
    def __enter__(self):
        self.fd = os.open(folder + '/' + self.name, os.O_RDWR | os.O_CLOEXEC)
        return self
    def __exit__(self, *_):
        os.close(self.fd)
    def info(self):
        data = bytearray(68)
        fcntl.ioctl(self.fd, CHIP_INFO, data)
        _, label, lines = struct.unpack('32s32sI', data)
        return {'name': self.name, 'label': text(label), 'lines': lines}
    def line(self, offset):
        data = bytearray(256)
        struct.pack_into('I', data, 64, offset)
        fcntl.ioctl(self.fd, LINE_INFO, data)
        name, consumer, _, _, flags = struct.unpack_from('32s32sIIQ', data)
        return text(name), text(consumer), flags

class Line:
    """A line that is held: how it is set up, and what is to happen with it."""
    def __init__(self, chip, offset):
        with Chip(chip) as at:
            self.flags = at.line(offset)[2] & SET_UP
            data = bytearray(592)  # no direction among the flags: it stays as it is
            struct.pack_into('I', data, 0, offset)
            struct.pack_into('32s', data, 256, b'fairlead')
            struct.pack_into('I', data, 560, 1)
            fcntl.ioctl(at.fd, GET_LINE, data)
        self.fd = struct.unpack_from('i', data, 588)[0]
        self.safe, self.was, self.due, self.wave = 'input', None, None, None
    def get(self):
        data = bytearray(struct.pack('QQ', 0, 1))
        fcntl.ioctl(self.fd, GET_VALUES, data)
        return struct.unpack('QQ', data)[0] & 1
    def put(self, value):
        fcntl.ioctl(self.fd, SET_VALUES, bytearray(struct.pack('QQ', value, 1)))
    def set_up(self, flags, value=0):
        data = bytearray(272)
        struct.pack_into('QI', data, 0, flags, 1 if flags & OUTPUT else 0)
        if flags & OUTPUT:
            struct.pack_into('IIQQ', data, 32, 2, 0, value, 1)
        fcntl.ioctl(self.fd, SET_CONFIG, data)
        self.flags = flags
    def drive(self, value):
        if self.flags & OUTPUT:
            self.put(value)
        else:
            self.set_up(self.flags & ~INPUT | OUTPUT, value)
    def state(self):
        return self.flags, self.get(), self.wave

def forget(key):
    os.close(held.pop(key).fd)

def restore(key):
    line = held[key]
    (flags, value, wave), is_ours = line.was
    line.was = line.due = None
    line.wave = wave
    if flags & OUTPUT:
        line.set_up(flags, value)
    else:
        line.set_up(flags & ~OUTPUT | INPUT)
        if not is_ours:
            forget(key)

def settle(key):
    """Undoes what was for a time only, leaves an output in its safe state, and lets go of the line."""
    if held[key].was:
        restore(key)
    line = held.get(key)
    if not line:
        return
    line.wave = None
    if line.flags & OUTPUT and line.safe != 'keep':
        if line.safe == 'input':
            line.set_up(line.flags & ~OUTPUT | INPUT)
        else:
            line.put(1 if line.safe == 'high' else 0)
    forget(key)

def change(ask, act):
    """Does what changes a line; with a duration, what was comes back after it."""
    key = ask['chip'], ask['line']
    is_ours = key in held
    line = held[key] if is_ours else held.setdefault(key, Line(*key))
    try:
        was = line.was or (line.state(), is_ours)
        line.wave = None
        act(line)
    except OSError:
        if not is_ours:
            forget(key)
        raise
    line.safe = ask['safe']
    wait = ask.get('duration_ms')
    line.was, line.due = (was, time.monotonic() + wait / 1000) if wait else (None, None)
    return look(ask['chip'], [ask['line']])[0]

def wave(line, ask):
    on = ask['duty'] / 100 / ask['frequency']
    off = 1 / ask['frequency'] - on
    line.drive(1 if on > 0 else 0)
    if on > 0 and off > 0:
        line.wave = {'parts': (off, on), 'value': 1, 'next': time.monotonic() + on, 'frequency': ask['frequency'], 'duty': ask['duty']}

def look(chip, offsets):
    with Chip(chip) as at:
        found = []
        for offset in offsets:
            name, consumer, flags = at.line(offset)
            line = held.get((chip, offset))
            pull = next((word for word, bit in PULLS.items() if flags & bit), None)
            each = {'line': offset, 'name': name, 'consumer': consumer, 'used': bool(flags & USED), 'direction': 'output' if flags & OUTPUT else 'input', 'pull': pull, 'held': line is not None}
            if line:
                each.update(value=line.get(), safe=line.safe, wave=line.wave and {'frequency': line.wave['frequency'], 'duty': line.wave['duty']})
                if line.due:
                    each['left_ms'] = max(0, round((line.due - time.monotonic()) * 1000))
            found.append(each)
        return found

def chips():
    found = []
    for name in sorted((name for name in os.listdir(folder) if re.fullmatch('gpiochip[0-9]+', name)), key=lambda name: int(name[8:])):
        try:
            with Chip(name) as at:
                found.append(at.info())
        except OSError as error:
            found.append({'name': name, 'error': errno.errorcode.get(error.errno, str(error.errno))})
    return found

def read(chip, offset):
    """Of an input that nobody holds: taken as it is, and let go."""
    found = look(chip, [offset])[0]
    line = Line(chip, offset)
    try:
        return {**found, 'value': line.get()}
    finally:
        os.close(line.fd)

def configure(line, ask):
    pull = PULLS.get(ask.get('pull'), line.flags & (PULL_UP | PULL_DOWN | NO_PULL))
    line.set_up((OUTPUT if ask['direction'] == 'output' else INPUT) | pull, ask.get('value', 0))

def release(ask):
    key = ask['chip'], ask['line']
    if key in held:
        settle(key)
    return look(ask['chip'], [ask['line']])[0]

operations = {
    'chips': lambda ask: chips(),
    'look': lambda ask: look(ask['chip'], ask['lines']),
    'read': lambda ask: read(ask['chip'], ask['line']),
    'write': lambda ask: change(ask, lambda line: line.drive(ask['value'])),
    'configure': lambda ask: change(ask, lambda line: configure(line, ask)),
    'wave': lambda ask: change(ask, lambda line: wave(line, ask)),
    'release': release,
}

def answer(raw):
    ask = json.loads(raw)
    try:
        told = {'ok': operations[ask['op']](ask)}
    except OSError as error:
        told = {'error': errno.errorcode.get(error.errno, str(error.errno)), 'reason': os.strerror(error.errno or 0)}
    os.write(1, (json.dumps({'id': ask['id'], **told}) + '\\n').encode())

def turn():
    """Does what is due; the seconds until the next is."""
    waits = [3600.0]
    for key, line in list(held.items()):
        now = time.monotonic()
        if line.due is not None and line.due <= now:
            restore(key)
        if key not in held:
            continue
        if line.wave and line.wave['next'] <= now:
            line.wave['value'] ^= 1
            line.put(line.wave['value'])
            line.wave['next'] = max(line.wave['next'] + line.wave['parts'][line.wave['value']], now)
        waits += [at - now for at in (line.due, line.wave and line.wave['next']) if at is not None]
    return max(0.0, min(waits))

def main():
    rest = b''
    while True:
        if not select.select([0], [], [], turn())[0]:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *asked, rest = (rest + chunk).split(b'\\n')
        for raw in asked:
            answer(raw)

# It ends with its input and by nothing else: who asked for it may end by a signal that comes here at the same moment, and lines are to be left safe first.
for name in ('SIGTERM', 'SIGINT', 'SIGHUP'):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
try:
    main()
finally:
    for key in list(held):
        try:
            settle(key)
        except OSError as error:
            print('line %d of %s could not be left safe: %s' % (key[1], key[0], error), file=sys.stderr)
`
