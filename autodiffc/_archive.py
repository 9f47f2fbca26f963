"""The container of torch.save: a zip file whose records are stored as they are, each aligned to 64 bytes.

Nothing here is compressed, so that a record is a range of the file: reading allocates nothing, and a file cannot
unfold into more than it holds. The layout is that of PKWARE's APPNOTE.TXT, with its 64-bit extensions.
"""

import struct
import zlib

ALIGNMENT = 64
_LOCAL, _CENTRAL, _END, _END64, _LOCATE64 = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"
_LOCAL_SIZE, _CENTRAL_SIZE, _END_SIZE = 30, 46, 22
_MAX32, _MAX16 = 0xFFFFFFFF, 0xFFFF
_UTF8, _ENCRYPTED = 1 << 11, 1
_HEAD = struct.Struct("<4s5H3I2H")
_SMALL = 1 << 16


class Writer:
    """Writes records to a file-like object, one after the other, and at the end where they are."""

    def __init__(self, file, name, checksums=True):
        self.file, self.name, self.checksums = file, name, checksums
        self.at, self.entries, self.seal = 0, [], 0

    def _put(self, data):
        self.file.write(data)
        self.at += len(data)

    def add(self, name, data):
        """A record of these bytes."""
        data = memoryview(data).cast("B")
        size, start = len(data), self.at
        check = zlib.crc32(data) if self.checksums else 0
        self.seal = zlib.crc32(struct.pack("<IQ", check, size), self.seal)
        path = f"{self.name}/{name}".encode()
        wide = struct.pack("<HHQQ", 1, 16, size, size) if size >= _MAX32 else b""
        body = start + _LOCAL_SIZE + len(path) + len(wide) + 4
        padding = -body % ALIGNMENT
        extra = wide + struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        shown = min(size, _MAX32)
        head = _HEAD.pack(_LOCAL, 45 if wide else 20, _UTF8, 0, 0, 33, check, shown, shown, len(path), len(extra))
        if size < _SMALL:  # one write
            self._put(b"".join((head, path, extra, data)))
        else:
            self._put(head + path + extra)
            self._put(data)
        self.entries.append((path, check, size, start))

    def close(self):
        """The directory of the records."""
        start = self.at
        for path, check, size, offset in self.entries:
            wide = b""
            if size >= _MAX32:
                wide += struct.pack("<QQ", size, size)
            if offset >= _MAX32:
                wide += struct.pack("<Q", offset)
            if wide:
                wide = struct.pack("<HH", 1, len(wide)) + wide
            version = 45 if wide else 20
            shown, offset = min(size, _MAX32), min(offset, _MAX32)
            self._put(struct.pack("<4s6H3I5H2I", _CENTRAL, version, version, _UTF8, 0, 0, 33, check, shown, shown,
                                  len(path), len(wide), 0, 0, 0, 0, offset) + path + wide)  # fmt: skip
        n, size, end = len(self.entries), self.at - start, self.at
        if n >= _MAX16 or start >= _MAX32 or size >= _MAX32:
            self._put(struct.pack("<4sQ2H2I4Q", _END64, 44, 45, 45, 0, 0, n, n, size, start))
            self._put(struct.pack("<4sIQI", _LOCATE64, 0, end, 1))
        n = min(n, _MAX16)
        self._put(struct.pack("<4s4H2IH", _END, 0, 0, n, n, min(size, _MAX32), min(start, _MAX32), 0))


class FileBytes:
    """The bytes of an open file, read when they are sliced. (A file that shrinks while it is mapped kills its readers;
    one that is read gives fewer bytes.)"""

    def __init__(self, file, size):
        self.file, self.size = file, size

    def __len__(self):
        return self.size

    def __getitem__(self, part):
        begin, end, _ = part.indices(self.size)
        if end <= begin:
            return b""
        self.file.seek(begin)
        return self.file.read(end - begin)

    def read_into(self, begin, buffer):
        """Fills a buffer; how many bytes there were."""
        self.file.seek(begin)
        return self.file.readinto(buffer)


def damaged(what):
    return RuntimeError(f"damaged checkpoint: {what}. It may not have been written or copied to its end")


class Reader:
    """The records of a zip file that lies in a memoryview or FileBytes. RuntimeError, naming what is wrong, for a
    damaged one."""

    def __init__(self, data):
        self.data = data
        self.records, self.prefix = {}, ""
        try:
            entries = self._directory()
        except (struct.error, OverflowError) as e:
            raise damaged(f"the zip directory ends in the middle of an entry ({e})") from None
        spans = []
        for name, check, size, offset in entries:
            head = data[offset : offset + _LOCAL_SIZE]
            if len(head) < _LOCAL_SIZE or head[:4] != _LOCAL:
                raise damaged(f"there is no zip record at byte {offset}, where {name!r} should be")
            npath, nextra = struct.unpack_from("<2H", head, 26)
            begin = offset + _LOCAL_SIZE + npath + nextra
            if begin + size > self.end:
                raise damaged(f"record {name!r} of {size} bytes at byte {begin} goes beyond the file's data")
            spans.append((offset, begin + size, name))
            if name in self.records:
                raise damaged(f"two records are called {name!r}")
            self.records[name] = (begin, size, check)
        spans.sort()
        for (_, end, name), (start, _, other) in zip(spans, spans[1:]):
            if start < end:
                raise damaged(f"records {name!r} and {other!r} overlap")
        if entries:
            self.prefix = entries[0][0].partition("/")[0] + "/"

    def _directory(self):
        """(name, checksum, size, offset) of each record."""
        data = self.data
        lowest = max(len(data) - _END_SIZE - _MAX16, 0)
        at = bytes(data[lowest:]).rfind(_END)
        if at < 0:
            raise damaged("failed finding central directory: not a whole zip archive")
        at += lowest
        _, disk, _, n, _, size, start, _ = struct.unpack("<4s4H2IH", data[at : at + _END_SIZE])
        if _MAX16 in (n, disk) or _MAX32 in (size, start):
            locate = at - 20
            if locate >= 0 and data[locate : locate + 4] == _LOCATE64:
                at = struct.unpack("<4sIQI", data[locate : locate + 20])[2]
                if data[at : at + 4] != _END64:
                    raise damaged("the zip64 directory is not where it should be")
                n, size, start = struct.unpack("<4sQ2H2I4Q", data[at : at + 56])[7:]
        if start + size > at:
            raise damaged("the zip directory does not lie before its end")
        self.end = start
        table = bytes(data[start : start + size])
        entries, at = [], 0
        for _ in range(n):
            if at + _CENTRAL_SIZE > len(table) or table[at : at + 4] != _CENTRAL:
                raise damaged(f"entry {len(entries)} of the zip directory is not one")
            fields = struct.unpack_from("<4s6H3I5H2I", table, at)
            flags, method, check, packed, full, npath, nextra, ncomment = *fields[3:5], *fields[7:13]
            offset = fields[16]
            at += _CENTRAL_SIZE
            try:
                name = table[at : at + npath].decode()
            except UnicodeDecodeError:
                raise damaged(f"the name of entry {len(entries)} of the zip directory is no text") from None
            extra = table[at + npath : at + npath + nextra]
            at += npath + nextra + ncomment
            if at > len(table):
                raise damaged(f"entry {name!r} goes beyond the zip directory")
            if _MAX32 in (packed, full, offset):
                packed, full, offset = _widened(extra, packed, full, offset)
            if method != 0 or flags & _ENCRYPTED or packed != full:
                raise RuntimeError(f"record {name!r} is compressed or encrypted: torch.save stores records as they are")
            entries.append((name, check, full, offset))
        return entries

    def has(self, name):
        return self.prefix + name in self.records

    def span(self, name):
        """(begin, size) of a record. RuntimeError when there is none."""
        try:
            return self.records[self.prefix + name][:2]
        except KeyError:
            raise damaged(f"it has no record {self.prefix + name!r}") from None

    def read(self, name):
        """A record's bytes, checked against their checksum if there is one."""
        begin, size = self.span(name)
        return self._checked(name, self.data[begin : begin + size])

    def read_into(self, name, buffer):
        """Fills a buffer of the record's size with its bytes, which are checked too."""
        begin, size = self.span(name)
        if isinstance(self.data, FileBytes):
            if self.data.read_into(begin, buffer) != size:
                raise damaged(f"record {self.prefix + name!r} ends too early")
        else:
            buffer[:] = self.data[begin : begin + size]
        self._checked(name, buffer)

    def _checked(self, name, data):
        wanted = self.records[self.prefix + name][2]
        if wanted and zlib.crc32(data) != wanted:
            raise damaged(f"the bytes of record {self.prefix + name!r} do not have their checksum")
        return data


def _widened(extra, packed, full, offset):
    """The sizes and offset of an entry whose fields of 32 bits are full."""
    at = 0
    while at + 4 <= len(extra):
        kind, n = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            values = iter(struct.unpack_from(f"<{n // 8}Q", extra, at + 4))
            full = next(values, full) if full == _MAX32 else full
            packed = next(values, packed) if packed == _MAX32 else packed
            return packed, full, next(values, offset) if offset == _MAX32 else offset
        at += 4 + n
    return packed, full, offset
