#!/usr/bin/env python3
"""Checks ledgers, signed records, rotations, mailbox items and backup archives from spec/ alone, with nothing but Python 3 (and age, for what is sealed): a second opinion on what Fairlead writes.

    reader.py ledger FOLDER [ORIGIN [FILE]]   is the ledger in the folder intact, and the one that was signed?
    reader.py proof FILE                      is the entry in it one of the ledger that was signed?
    reader.py record CONTEXT FILE [NOW_MS]    is the record what its signer said for that purpose?
    reader.py card FILE [NOW_MS]              the same of a peer's card
    reader.py statement FILE                  the same of a rotation or revocation
    reader.py item SEED_FILE FILE [NOW_MS]    what does the mailbox item say to the holder of that seed (32 bytes)?
    reader.py backup FILE                     is the archive (age -d … > FILE) whole, and as its list says?
    reader.py cases                           one question a line on stdin, as JSON; one answer a line on stdout

Prints the verdict as JSON; the exit code is 0 when it is intact opened or taken, 1 when it is not.
"""
import base64, gzip, hashlib, json, math, os, re, struct, subprocess, sys, tempfile, time, unicodedata, zlib

# --- ledger (spec/ledger.md) -------------------------------------------------------------------------------------------------------------

DOMAIN = b"fairlead-ledger/1\n"
MAX_LINE = 262_144
BEGIN = re.compile(rb'\{"seq":([1-9][0-9]{0,15}),"time":"')
TAIL = re.compile(rb',"prev":"(.{43})","hash":"(.{43})"\}', re.S)


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(DOMAIN + data).digest()).rstrip(b"=")


def files_of(folder, stem, extension):
    stem, extension = re.escape(stem), re.escape(extension)
    number = r"[.-][0-9][0-9-]*"
    name = re.compile(rf"{stem}{extension}|{stem}{number}{extension}(\.gz)?|{stem}{extension}{number}(\.gz)?")
    found = []
    for entry in os.listdir(folder):
        path = os.path.join(folder, entry)
        if not name.fullmatch(entry) or not os.path.isfile(path) or os.path.getsize(path) == 0:
            continue
        data = open(path, "rb").read()
        try:
            data, problem = (gzip.decompress(data) if entry.endswith(".gz") else data), None
        except (OSError, EOFError, zlib.error):
            data, problem = b"", "cannot be unpacked"
        first = BEGIN.match(data)
        found.append((int(first[1]) if first else math.inf, entry, data, problem))
    return [rest for _, *rest in sorted(found, key=lambda file: file[:2])]


def known_in(folder, stem):
    try:
        head = open(os.path.join(folder, stem + ".head"), "rb").read()
    except FileNotFoundError:
        return None
    match = re.fullmatch(rb'\{"seq":([1-9][0-9]{0,15}),"hash":"([A-Za-z0-9_-]{43})"\} *\n', head)
    return (int(match[1]), match[2]) if match else None


def check_ledger(folder, origin=None, known=None, stem="ledger", extension=".jsonl"):
    known = known or known_in(folder, stem)
    last, last_hash, entries, gaps, torn = 0, None, 0, [], 0
    file, number = stem + extension, 0

    def bad(kind):
        return {"intact": False, "entries": entries, "firstBad": {"file": file, "line": number, "seq": last + 1, "kind": kind}}

    for file, data, problem in files_of(folder, stem, extension):
        number = 0
        *lines, rest = data.split(b"\n")
        torn += len(rest)
        for number, line in enumerate(lines, 1):
            begin, tail = BEGIN.match(line), TAIL.fullmatch(line[-107:])
            if len(line) >= MAX_LINE or not begin or not tail or begin.end() > len(line) - 107:
                return bad("not a ledger line")
            seq, (prev, written) = int(begin[1]), tail.groups()
            if digest(line[:-54]) != written:
                return bad("altered")
            if seq != last + 1:
                if number > 1 or seq <= last:
                    return bad("out of order")
                gaps.append([last + 1, seq - 1])
            elif prev != last_hash if last else origin is not None and prev != digest(origin.encode()):
                return bad("of another chain")
            if known and seq == known[0] and written != known[1]:
                return bad("of another chain")
            last, last_hash, entries = seq, written, entries + 1
        if problem:
            number += 1
            return bad(problem)
    if known and known[0] > last:
        number += 1
        return bad("cut off")
    return {"intact": True, "entries": entries, "last": last, "gaps": gaps, "torn": torn}


# --- Ed25519 (RFC 8032 §5.1 and §6) ------------------------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    c, d = 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    e, f, g, h = f - e, d - c, d + c, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n, point):
    result = (0, 1, 1, 0)
    while n:
        if n & 1:
            result = add(result, point)
        point, n = add(point, point), n >> 1
    return result


def point_of(data):
    y, sign = int.from_bytes(data, "little") & ~(1 << 255), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    if y >= P or x * x % P != square or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


BASE = point_of(bytes([0x58]) + bytes([0x66]) * 31)


def is_signed(key, message, signature):
    point, s = point_of(key), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or point is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    x, y, z, _ = add(times(s, BASE), times(L - h, point))
    x, y = x * pow(z, -1, P) % P, y * pow(z, -1, P) % P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


# --- deterministic CBOR (RFC 8949 §4.2.1, as spec/records.md §3 has it) ---------------------------------------------------------------------


class Malformed(Exception):
    pass


def head(kind, n):
    if n < 24:
        return bytes([kind << 5 | n])
    size = next(size for size in (1, 2, 4, 8) if n < 256**size)
    return bytes([kind << 5 | 24 + size.bit_length() - 1]) + n.to_bytes(size, "big")


def encode(value):
    if value is None or isinstance(value, bool):
        return b"\xf6" if value is None else b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        if math.isnan(value) or math.isinf(value) or (value.is_integer() and abs(value) < 2**53):
            raise Malformed("a number that is not written so")
        for letter, first in (("e", 0xF9), ("f", 0xFA), ("d", 0xFB)):
            try:
                data = struct.pack(">" + letter, value)
            except OverflowError:
                continue
            if struct.unpack(">" + letter, data)[0] == value:
                return bytes([first]) + data
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    pairs = sorted((encode(key), encode(item)) for key, item in value.items())
    return head(5, len(pairs)) + b"".join(key + item for key, item in pairs)


def decode(data, at=0, levels=16):
    """The value at that place, and where it ends."""
    if at >= len(data):
        raise Malformed("it ends too early")
    kind, info, at = data[at] >> 5, data[at] & 31, at + 1
    n, size = info, 0
    if info >= 24:
        if info > 27:
            raise Malformed("no length")
        size = 1 << info - 24
        n, at = int.from_bytes(data[at : at + size], "big"), at + size
    if at > len(data):
        raise Malformed("it ends too early")
    if kind == 7 and info in (20, 21, 22):
        return {20: False, 21: True, 22: None}[info], at
    if kind == 7 and info in (25, 26, 27):
        return struct.unpack(">" + "efd"[info - 25], data[at - size : at])[0], at
    if kind == 7:
        raise Malformed("a simple value that may not be")
    if kind < 2:
        return (n if kind == 0 else -1 - n), at
    if kind < 4:
        part, at = data[at : at + n], at + n
        if at > len(data):
            raise Malformed("it ends too early")
        try:
            return (part if kind == 2 else part.decode()), at
        except UnicodeDecodeError:
            raise Malformed("text that is not UTF-8") from None
    if kind == 6 or levels == 0 or n > len(data):
        raise Malformed("a tag" if kind == 6 else "nested too deeply, or too long")
    items = []
    for _ in range(n * (kind - 3)):
        item, at = decode(data, at, levels - 1)
        items.append(item)
    if kind == 4:
        return items, at
    try:
        return dict(zip(items[::2], items[1::2])), at
    except TypeError:
        raise Malformed("a key that cannot be one") from None


def whole(data):
    """The one value that the bytes are: encoded again it gives the same bytes, so that keys twice, another order and longer forms are found."""
    value, end = decode(data)
    if end != len(data) or encode(value) != data:
        raise Malformed("not in deterministic CBOR")
    return value


# --- records and cards (spec/records.md) ---------------------------------------------------------------------------------------------------

LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def peer_id(key):
    n, text = int.from_bytes(b"\x00\x24\x08\x01\x12\x20" + key, "big"), ""
    while n:
        n, digit = divmod(n, 58)
        text = LETTERS[digit] + text
    return "1" + text


def open_record(context, data, now):
    if len(data) > 65_536:
        return {"outcome": "too large"}
    try:
        if data[:1] != b"\xd2":
            raise Malformed("not tagged as COSE_Sign1")
        message = whole(data[1:])
        kinds = [type(part) for part in message] if isinstance(message, list) else []
        if kinds != [bytes, dict, bytes, bytes] or message[1]:
            raise Malformed("not the four parts")
        protected, _, payload, signature = message
        header = whole(protected)
        key = header.get(4) if isinstance(header, dict) else None
        if not isinstance(key, bytes) or len(key) != 32 or header != {1: -8, 4: key}:
            raise Malformed("the protected header is another")
        if not is_signed(key, encode(["Signature1", protected, context.encode(), payload]), signature):
            return {"outcome": "bad signature"}
        body = whole(payload)
        keys_are_texts(body)
        if not isinstance(body, dict):
            raise Malformed("the body is no map")
        sequence, expires = body.get("sequence"), body.get("expiresAt")
        if type(sequence) is not int or not 0 <= sequence < 2**53 or type(expires) not in (int, float):
            raise Malformed("no sequence or no end")
    except Malformed:
        return {"outcome": "malformed"}
    if expires <= now:
        return {"outcome": "expired"}
    return {"outcome": "opened", "signer": peer_id(key), "body": body}


def keys_are_texts(value):
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        keys_are_texts(item)
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        raise Malformed("a key that is no text")


def is_card(name, addresses):
    address = re.compile(r"(/[\x21-\x2e\x30-\x7e]+)+")
    return (
        isinstance(name, str)
        and 1 <= len(name) <= 64
        and not any(unicodedata.category(letter).startswith("C") for letter in name)
        and isinstance(addresses, list)
        and len(addresses) <= 16
        and all(isinstance(text, str) and len(text) <= 256 and address.fullmatch(text) for text in addresses)
    )


def open_card(data, now):
    if len(data) > 4_096:
        return {"outcome": "malformed"}
    found = open_record("fairlead/peer-card/1", data, now)
    if found["outcome"] != "opened":
        return found
    body = found["body"]
    if not is_card(body.get("name"), body.get("addresses")):
        return {"outcome": "malformed"}
    said = {key: body[key] for key in ("name", "addresses", "sequence", "expiresAt")}
    return {"outcome": "opened", "said": {"peerId": found["signer"], **said}}


# --- rotation and revocation (spec/rotation.md) --------------------------------------------------------------------------------------------

NEVER = 2**53 - 1


def is_peer_id(text):
    if not isinstance(text, str) or len(text) != 52 or any(letter not in LETTERS for letter in text):
        return False
    n = 0
    for letter in text:
        n = n * 58 + LETTERS.index(letter)
    data = n.to_bytes(39, "big")[1:]
    return data[:6] == b"\x00\x24\x08\x01\x12\x20" and peer_id(data[6:]) == text


def open_statement(data):
    if len(data) > 1_024:
        return {"outcome": "malformed"}
    found = open_record("fairlead/key-statement/1", data, 0)
    if found["outcome"] != "opened":
        return found
    signer, body = found["signer"], found["body"]
    said = {"says": body.get("says"), "peerId": signer, "at": body["sequence"]}
    malformed = {"outcome": "malformed"}
    if body["expiresAt"] != NEVER or said["says"] not in ("rotated", "revoked"):
        return malformed
    if said["says"] == "revoked":
        if "reason" not in body:
            return {"outcome": "opened", "said": said}
        reason = body["reason"]
        if not isinstance(reason, str) or not 1 <= len(reason) <= 200 or any(unicodedata.category(letter)[0] == "C" for letter in reason):
            return malformed
        return {"outcome": "opened", "said": {**said, "reason": reason}}
    new = body.get("next")
    if not is_peer_id(new) or new == signer or not isinstance(body.get("accepted"), bytes):
        return malformed
    accepted = open_record("fairlead/key-acceptance/1", body["accepted"], 0)
    if accepted["outcome"] != "opened":
        return accepted
    agreed = accepted["body"]
    if (accepted["signer"], agreed.get("previous"), agreed["sequence"], agreed["expiresAt"]) != (new, signer, said["at"], NEVER):
        return malformed
    return {"outcome": "opened", "said": {**said, "next": new}}


def standing(asked, statements):
    counts = {}
    for data in statements:
        said = open_statement(data).get("said")
        if said and (said["peerId"] not in counts or (said["says"], counts[said["peerId"]]["says"]) == ("revoked", "rotated")):
            counts[said["peerId"]] = said
    key = asked
    for _ in range(17):
        said = counts.get(key)
        if said is None:
            return {"is": "valid"} if key == asked else {"is": "rotated", "to": key}
        if said["says"] == "revoked":
            return {"is": "revoked", "peerId": key}
        key = said["next"]
    return {"is": "revoked", "peerId": asked}


# --- the tree, checkpoints and proofs (spec/ledger.md §9 to §12) -----------------------------------------------------------------------------


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def tree_root(leaves):
    """RFC 6962 §2.1, level by level: a subtree without a neighbour goes up as it is."""
    level = list(leaves) or [None]
    while len(level) > 1:
        level = [node_hash(*level[at : at + 2]) if at + 1 < len(level) else level[at] for at in range(0, len(level), 2)]
    return hashlib.sha256().digest() if level[0] is None else level[0]


def is_included(index, size, leaf, root, proof):
    """RFC 6962 §2.1.1, read backwards: which of the two halves each hash stands for follows from index and size."""

    def rebuilt(index, size, proof):
        if size == 1:
            return None if proof else leaf
        if not proof:
            return None
        part = 1 << (size - 1).bit_length() - 1
        inner = rebuilt(index, part, proof[:-1]) if index < part else rebuilt(index - part, size - part, proof[:-1])
        return inner and (node_hash(inner, proof[-1]) if index < part else node_hash(proof[-1], inner))

    return 0 <= index < size and rebuilt(index, size, proof) == root


def is_grown(old, size, old_root, root, proof):
    """RFC 6962 §2.1.2, read backwards: gives the old root and the new one out of the same hashes."""

    def rebuilt(old, size, proof, known):
        if old == size:
            if known:
                return None if proof else (old_root, old_root)
            return (proof[0], proof[0]) if len(proof) == 1 else None
        if not proof:
            return None
        part = 1 << (size - 1).bit_length() - 1
        if old <= part:
            inner = rebuilt(old, part, proof[:-1], known)
            return inner and (inner[0], node_hash(inner[1], proof[-1]))
        inner = rebuilt(old - part, size - part, proof[:-1], False)
        return inner and (node_hash(proof[-1], inner[0]), node_hash(proof[-1], inner[1]))

    if old > size:
        return False
    if old == 0:
        return not proof
    return rebuilt(old, size, proof, True) == (old_root, root)


def key_of(text):
    """The key that a peer id holds, or nothing when it is none."""
    n = 0
    for letter in text:
        if letter not in LETTERS:
            return None
        n = n * 58 + LETTERS.index(letter)
    data = n.to_bytes(64, "big")[-36:] if n < 256**64 else b""
    return data[4:] if len(text) == 52 and peer_id(data[4:]) == text else None


def key_id(name, kind, key):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]


def plain_base64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None


def open_checkpoint(note):
    """What a checkpoint says, or nothing when it does not count."""
    text, blank, below = note.rpartition("\n\n")
    text += "\n"
    lines = below[:-1].split("\n")
    if not blank or not below.endswith("\n") or len(note.encode()) > 16_384 or len(lines) > 16 or re.search(r"[\0-\x09\x0b-\x1f]", note):
        return None
    body = re.fullmatch(r"([^\s+/]+)/([^\s+]+)/([A-Za-z0-9_-]{43})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n", text)
    owner_key = key_of(body[1]) if body else None
    root = plain_base64(body[5]) if body else None
    if not owner_key or root is None:
        return None
    origin, owned, cosigned = text.split("\n")[0], 0, []
    for line in lines:
        match = re.fullmatch(r"\u2014 ([^\s+]+) (\S+)", line)
        data = plain_base64(match[2]) if match else None
        if data is None or len(data) < 5:
            return None
        name, ident, signature = match[1], data[:4], data[4:]
        if name == origin and ident == key_id(name, 1, owner_key):
            if not is_signed(owner_key, text.encode(), signature):
                return None
            owned += 1
        key = key_of(name)
        if key and ident == key_id(name, 4, key):
            seconds = int.from_bytes(signature[:8], "big")
            said = f"cosignature/v1\ntime {seconds}\n{text}"
            if len(signature) != 72 or not is_signed(key, said.encode(), signature[8:]):
                return None
            cosigned.append({"by": name, "time": seconds})
    if owned != 1 or len({one["by"] for one in cosigned}) < len(cosigned):
        return None
    return {"owner": body[1], "ledger": body[2], "chain": body[3], "size": int(body[4]), "root": root.hex(), "cosignatures": cosigned}


def open_proof(text):
    """What a proof of an entry says, or nothing when it proves nothing."""
    above, blank, note = text.partition("\n\n")
    head, extra, index, *hashes = above.split("\n") + ["", ""]
    hashes = [plain_base64(line) for line in hashes[:-2]]
    line = plain_base64(extra[6:]) if extra.startswith("extra ") else None
    checkpoint = open_checkpoint(note)
    if head != "c2sp.org/tlog-proof@v1" or line is None or not checkpoint or not all(hash and len(hash) == 32 for hash in hashes):
        return None
    begin, tail = BEGIN.match(line), TAIL.fullmatch(line[-107:])
    if not begin or not tail or begin.end() > len(line) - 107 or digest(line[:-54]) != tail[2]:
        return None
    seq = int(begin[1])
    if index != f"index {seq - 1}":
        return None
    if not is_included(seq - 1, checkpoint["size"], leaf_hash(tail[2]), bytes.fromhex(checkpoint["root"]), hashes):
        return None
    return {"seq": seq, "line": line.decode(), **checkpoint}


def leaves_of(folder, stem, extension):
    """The leaf of each entry of an intact ledger, of no data where one is missing."""
    leaves = []
    for _, data, _ in files_of(folder, stem, extension):
        for line in data.split(b"\n")[:-1]:
            seq = int(BEGIN.match(line)[1])
            leaves += [leaf_hash(b"")] * (seq - 1 - len(leaves)) + [leaf_hash(TAIL.fullmatch(line[-107:])[2])]
    return leaves


def check_signed(folder, origin, stem, extension):
    """Every checkpoint beside the ledger that is of this chain, and whether the ledger is the one that it is of."""
    found, names = [], sorted(os.listdir(folder))
    data = b"".join(data for _, data, _ in files_of(folder, stem, extension)[:1])
    first = BEGIN.match(data)
    chain = TAIL.fullmatch(data.split(b"\n")[0][-107:])[2].decode() if first and first[1] == b"1" else None
    leaves = leaves_of(folder, stem, extension)
    for name in names:
        if name != f"{stem}.checkpoint" and not name.startswith(f"{stem}.witnessed-"):
            continue
        checkpoint = open_checkpoint(open(os.path.join(folder, name), encoding="utf-8", newline="").read())
        if not checkpoint or checkpoint["chain"] != chain or (origin is not None and checkpoint["ledger"] != origin):
            continue
        size = checkpoint["size"]
        holds = size <= len(leaves) and tree_root(leaves[:size]).hex() == checkpoint["root"]
        found.append({"size": size, "holds": holds, "witnesses": [one["by"] for one in checkpoint["cosignatures"]]})
    return found


# --- messages and mailbox items (spec/messages.md, spec/mailbox.md) --------------------------------------------------------------------------

DAY = 24 * 3_600_000


def bech32(prefix, data):
    bits = "".join(f"{byte:08b}" for byte in data)
    groups = [int(bits[at : at + 5].ljust(5, "0"), 2) for at in range(0, len(bits), 5)]
    head = prefix.encode()
    total = 1
    for group in [byte >> 5 for byte in head] + [0] + [byte & 31 for byte in head] + groups + [0] * 6:
        top, total = total >> 25, (total & 0x1FFFFFF) << 5 ^ group
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            total ^= generator if top >> bit & 1 else 0
    groups += [(total ^ 1) >> 25 - 5 * at & 31 for at in range(6)]
    return prefix + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[group] for group in groups)


def recipient_of(text):
    """The age recipient of a peer, or None for a key of small order or none at all."""
    point = point_of(key_of(text))
    if point is None:
        return None
    x, _, z, _ = times(8, point)
    if x == 0 or z == 0:
        return None
    y = point[1]
    return bech32("age", ((1 + y) * pow(1 - y, -1, P) % P).to_bytes(32, "little"))


def scalar_of(seed):
    scalar = bytearray(hashlib.sha512(seed).digest()[:32])
    scalar[0], scalar[31] = scalar[0] & 248, scalar[31] & 127 | 64
    return bytes(scalar)


def secret_of(seed):
    return bech32("age-secret-key-", scalar_of(seed)).upper()


def own_id(seed):
    x, y, z, _ = times(int.from_bytes(scalar_of(seed), "little"), BASE)
    x, y = x * pow(z, -1, P) % P, y * pow(z, -1, P) % P
    return peer_id((y | (x & 1) << 255).to_bytes(32, "little"))


def unseal(seed, data):
    if not data.startswith(b"age-encryption.org/v1\n"):
        return None
    with tempfile.NamedTemporaryFile() as file:
        file.write(secret_of(seed).encode() + b"\n")
        file.flush()
        found = subprocess.run(["age", "--decrypt", "--identity", file.name], input=data, capture_output=True)
    return found.stdout if found.returncode == 0 else None


def is_message(body):
    text, to, name = body.get("text"), body.get("to"), body.get("id")
    return (
        isinstance(text, str)
        and 1 <= len(text.encode()) <= 32_768
        and isinstance(to, str)
        and key_of(to) is not None
        and isinstance(name, str)
        and re.fullmatch(r"[A-Za-z0-9_-]{22,64}", name) is not None
    )


def open_item(seed, data, now):
    signed = unseal(seed, data)
    if signed is None:
        return {"outcome": "not opened"}
    found = open_record("fairlead/message/1", signed, -1) if len(signed) <= 36_864 else {"outcome": "too large"}
    if found["outcome"] != "opened" or not is_message(found["body"]):
        return {"outcome": "invalid"}
    body = found["body"]
    if body["to"] != own_id(seed):
        return {"outcome": "misdirected"}
    if body["expiresAt"] <= now:
        return {"outcome": "expired"}
    if body["expiresAt"] > now + 8 * DAY:
        return {"outcome": "invalid"}
    said = {"from": found["signer"], "to": body["to"], "id": body["id"], "sentAt": body["sequence"], "text": body["text"]}
    return {"outcome": "taken", "says": said, "expiresAt": body["expiresAt"]}


# --- backups (backup.md) -----------------------------------------------------------------------------------------------------------------


def field(block, at, length):
    return block[at : at + length].split(b"\0")[0].decode("utf-8")


def members(archive):
    """(name, content) of each member of a ustar archive, or ValueError."""
    found, at = [], 0
    while any(block := archive[at : at + 512]):
        size, total = int(field(block, 124, 12), 8), int(field(block, 148, 8), 8)
        if field(block, 257, 6) != "ustar" or total != sum(block[:148] + b" " * 8 + block[156:]) or block[156:157] != b"0":
            raise ValueError
        name = "/".join(part for part in (field(block, 345, 155), field(block, 0, 100)) if part)
        parts = name.split("/")
        if len(parts) > 8 or any(not part or part[0] == "." for part in parts) or "\\" in name or any(ord(c) < 32 for c in name):
            raise ValueError
        found.append((name, archive[at + 512 : at + 512 + size]))
        at += 512 + -(-size // 512) * 512
    if archive[at:] != bytes(1024):
        raise ValueError
    names = [name for name, _ in found]
    folders = {"/".join(name.split("/")[:n]) for name in names for n in range(1, name.count("/") + 1)}
    if len(set(names)) < len(names) or folders & set(names):
        raise ValueError
    return found


def open_backup(archive):
    try:
        (first, text), *files = members(archive)
        listed = json.loads(text)
        facts = [{"name": name, "sizeBytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files]
        wallet = json.loads(dict(files)["wallet.json"])
        if first != "fairlead-backup.json" or listed["backup"] != 1 or listed["files"] != facts or wallet["peerId"] != listed["peerId"]:
            raise ValueError
        return {"outcome": "opened", "says": {"name": listed["name"], "peerId": listed["peerId"], "files": [name for name, _ in files]}}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return {"outcome": "refused"}


# --- from outside ------------------------------------------------------------------------------------------------------------------------


def answer(question):
    what = question["what"]
    if what == "ledger":
        known = question.get("known")
        return check_ledger(question["folder"], question.get("origin"), known and (known["seq"], known["hash"].encode()))
    if what == "keys":
        return {"recipient": recipient_of(question["peerId"])}
    if what in ("note", "proof"):
        return (open_checkpoint if what == "note" else open_proof)(question["text"])
    if what == "root":
        return tree_root(leaf_hash(bytes.fromhex(leaf)) for leaf in question["leaves"]).hex()
    if what in ("inclusion", "consistency"):
        proof = [bytes.fromhex(hash) for hash in question["proof"]]
        root = bytes.fromhex(question["root"])
        if what == "inclusion":
            return is_included(question["index"], question["size"], bytes.fromhex(question["leaf"]), root, proof)
        return is_grown(question["old"], question["size"], bytes.fromhex(question["oldRoot"]), root, proof)
    if what == "standing":
        return standing(question["peerId"], [bytes.fromhex(text) for text in question["statements"]])
    data = bytes.fromhex(question["bytes"])
    if what == "statement":
        return open_statement(data)
    if what == "item":
        return open_item(bytes.fromhex(question["seed"]), data, question["now"])
    if what == "backup":
        return open_backup(data)
    return open_card(data, question["now"]) if what == "card" else open_record(question["context"], data, question["now"])


def main(words):
    what, *rest = words or ["--help"]
    if what == "cases":
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), flush=True)
        return 0
    if what == "ledger" and rest:
        folder, origin, file = (rest + [None, None])[:3]
        names = os.path.splitext(file or "ledger.jsonl")
        found = check_ledger(folder, origin, None, *names)
        if found["intact"]:
            signed = check_signed(folder, origin, *names)
            found = {**found, "intact": all(one["holds"] for one in signed), **({"signed": signed} if signed else {})}
    elif what == "proof" and rest:
        said = open_proof(open(rest[0], encoding="utf-8", newline="").read())
        found = {"outcome": "opened", **said} if said else {"outcome": "proves nothing"}
    elif what == "item" and len(rest) >= 2:
        seed, data = (open(path, "rb").read() for path in rest[:2])
        found = open_item(seed, data, float(rest[2]) if len(rest) > 2 else time.time() * 1000)
    elif what == "backup" and rest:
        found = open_backup(open(rest[0], "rb").read())
    elif what == "statement" and rest:
        found = open_statement(open(rest[0], "rb").read())
    elif what in ("record", "card") and len(rest) >= (2 if what == "record" else 1):
        context = rest.pop(0) if what == "record" else None
        now = float(rest[1]) if len(rest) > 1 else time.time() * 1000
        data = open(rest[0], "rb").read()
        found = open_card(data, now) if what == "card" else open_record(context, data, now)
    else:
        print(__doc__)
        return 2
    print(json.dumps(found, default=lambda part: part.hex(), ensure_ascii=False))
    return 0 if found.get("intact") or found.get("outcome") in ("opened", "taken") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
