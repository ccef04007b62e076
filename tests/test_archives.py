"""Archives that attackers and bad disks make, where `test_sources` has the common ones."""

import errno
import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from handvae.base.errors import InputError
from handvae.download import archives

END = bytes(1024)


def header(name: str, kind=tarfile.REGTYPE, content: bytes = b"") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def pax(records: bytes, kind=tarfile.XHDTYPE) -> bytes:
    return header("PaxHeaders/x", kind, records)


FILE = header("a.txt", content=b"hi")


def extracted(folder: Path, name: str, content: bytes) -> dict[str, bytes]:
    (folder / name).write_bytes(content)
    target = folder / "target"
    target.mkdir()
    archives.extract(folder / name, target)
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def refusal(folder: Path, name: str, content: bytes) -> str:
    with pytest.raises(InputError) as caught:
        extracted(folder, name, content)
    message = str(caught.value)
    assert message.startswith(f"{folder / name}: ") and "expected" in message and "found" in message
    assert "\n" not in message and not any((folder / "target").rglob("*"))
    return message


# tar


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_long_names_large_headers_and_other_letters_are_read_in_every_format(tmp_path, format_, suffix):
    files = {f"{'d' * 90}/{'n' * 90}": b"1", "é/ö.txt": b"22" * 500, "empty": b""}
    if format_ != tarfile.USTAR_FORMAT:
        files |= {f"{'n' * 250}": b"3" * 512, f"{'é' * 120}/{'ö' * 120}": b"4"}
    buffer = io.BytesIO()
    headers = {"comment": "x" * 200} if format_ == tarfile.PAX_FORMAT else {}
    mode = "w:gz" if suffix == ".tar.gz" else "w"
    with tarfile.open(fileobj=buffer, mode=mode, format=format_, pax_headers=headers) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1.5
            if format_ == tarfile.PAX_FORMAT:
                info.pax_headers = {"SCHILY.xattr.com.apple.metadata": "x" * 20_000}
            archive.addfile(info, io.BytesIO(content))
    assert extracted(tmp_path, "a" + suffix, buffer.getvalue()) == files


def test_a_pax_size_counts_more_than_that_of_the_header(tmp_path):
    entry = tarfile.TarInfo("a.txt").tobuf() + b"x" * 600 + bytes(424)
    content = pax(b"12 size=600\n") + entry + header("b.txt", content=b"hi") + END
    assert extracted(tmp_path, "a.tar", content) == {"a.txt": b"x" * 600, "b.txt": b"hi"}


@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("digits", b"1" * 65_024),  # CVE-2024-6232: tarfile took 9 s for these
        ("keys", b"2 " * 32_000 + b"="),  # and here memory as the square
        ("zero", b"0 a=b\n"),
        ("negative", b"-6 a=b\n"),
        ("short", b"7 a=b\n"),
        ("no value", b"5 ab\n"),
        ("no line", b"6 a=bc"),
        ("size", b"12 size=nan\n"),
    ],
)
def test_a_bad_pax_header_is_damage_and_costs_no_time(tmp_path, name, records):
    message = refusal(tmp_path, f"{name}.tar.gz", gzip.compress(pax(records) + FILE + END))
    assert "expected a whole archive, found damage (" in message


@pytest.mark.parametrize("extra", [pax(b"6 a=b\n"), header("L", tarfile.GNUTYPE_LONGNAME, b"a.txt\0")])
def test_a_chain_of_headers_is_refused(tmp_path, extra):
    assert extracted(tmp_path, "a.tar", extra * 16 + FILE + END) == {"a.txt": b"hi"}
    (tmp_path / "target" / "a.txt").unlink()
    (tmp_path / "target").rmdir()
    assert "number 17 of one member" in refusal(tmp_path, "a.tar", extra * 17 + FILE + END)


def test_a_header_without_its_member_is_damage(tmp_path):
    assert "a header without its member" in refusal(tmp_path, "a.tar", FILE + pax(b"6 a=b\n") + END)


def test_headers_alone_do_not_expand_beyond_what_is_plausible(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_SMALL_BYTES", 10**5)
    content = gzip.compress((pax(b"6 a=b\n" * 10_000) + header("./", tarfile.DIRTYPE)) * 40 + END)
    assert "headers that expand to more than" in refusal(tmp_path, "a.tar.gz", content)


def test_a_million_times_one_folder_is_too_many_and_takes_no_memory(tmp_path, monkeypatch):
    content = b"".join(header(name, tarfile.DIRTYPE) for name in ("./", "d/")) * 1000 + FILE + END
    (tmp_path / "a.tar").write_bytes(content)
    tracemalloc.start()
    with archives._members(tmp_path / "a.tar") as members:
        assert len(archives._checked(tmp_path / "a.tar", members, {})) == 2
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 200_000
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2000)
    assert "expected at most 2,000 members, found more" in refusal(tmp_path, "a.tar", content)


def sparse_chain() -> bytes:
    """GNU's old sparse file: its map goes on in the blocks after the header."""
    info = bytearray(header("x", tarfile.GNUTYPE_SPARSE))
    info[482] = 1
    info[148:156] = b" " * 8
    info[148:156] = b"%06o\0 " % sum(info)
    return bytes(info) + (b"00000000001\0" * 42 + b"\1" + bytes(7)) * 1000


SPARSE_1 = pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n") + header("x", content=b"9999999\n" * 64)


@pytest.mark.parametrize(("content", "blocks"), [(sparse_chain(), 1), (SPARSE_1 + b"1\n" * 10**5, 3)])
def test_a_sparse_file_is_refused_before_its_map_is_read(content, blocks):
    file = io.BytesIO(content)
    assert next(archives._tar_members(file, 10**9)).refused and file.tell() == blocks * 512


# zip


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


ZIP = zipped({"a.txt": b"hi", "b.txt": b"ho"})
DIRECTORY, RECORD = ZIP.index(b"PK\1\2"), ZIP.index(b"PK\5\6")


def test_a_flipped_byte_in_a_zips_directory_is_damage_or_changes_nothing(tmp_path):
    for position in range(DIRECTORY, len(ZIP)):
        for flip in (1, 0x40, 0xFF):
            content = bytearray(ZIP)
            content[position] ^= flip
            folder = tmp_path / f"{position}-{flip}"
            folder.mkdir()
            try:
                found = extracted(folder, "a.zip", bytes(content))
            except InputError:
                continue
            assert sorted(found.values()) == [b"hi", b"ho"], (position, flip)


@pytest.mark.parametrize("offset", [2**31, 2**32 - 2, 2**62, 2**63, 2**64 - 2])
def test_a_zip_member_outside_the_file_is_damage(tmp_path, offset):
    entry = bytearray(ZIP[DIRECTORY : DIRECTORY + 46 + 5])
    struct.pack_into("<H", entry, 30, 12)
    struct.pack_into("<I", entry, 42, 2**32 - 1)  # the offset is in zip64's field
    entry += struct.pack("<HHQ", 1, 8, offset)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(entry), DIRECTORY, 0)
    assert f"a member at byte {offset:,}" in refusal(tmp_path, "a.zip", ZIP[:DIRECTORY] + entry + end)


def test_a_zip_entry_that_hides_those_after_it_in_its_comment_is_damage(tmp_path):
    content = bytearray(ZIP)
    struct.pack_into("<H", content, DIRECTORY + 32, 60_000)
    assert "2 entries announced and 1 there" in refusal(tmp_path, "a.zip", bytes(content))


def test_too_many_entries_of_a_zip_are_refused_before_zipfile_reads_them(tmp_path, monkeypatch):
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda *_: pytest.fail("zipfile was called"))
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    content = bytearray(ZIP)
    struct.pack_into("<HH", content, RECORD + 8, 1, 1)  # whatever the record says
    assert "expected at most 1 members, found more" in refusal(tmp_path, "a.zip", bytes(content))


@pytest.mark.parametrize("comment", [b"", b"a comment", b"x" * 65_535])
@pytest.mark.parametrize("before", [b"", b"a program that unpacks itself"])
@pytest.mark.parametrize("zip64", [False, True])
def test_zips_with_a_comment_or_a_program_before_them_are_read_small_and_large(
    tmp_path, monkeypatch, comment, before, zip64
):
    if zip64:
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    files = {"a.txt": b"hi" * 100, "b.txt": b"ho"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = comment
        for name, content in files.items():
            archive.writestr(name, content)
    assert (b"PK\6\6" in buffer.getvalue()) == zip64
    assert extracted(tmp_path, "a.zip", before + buffer.getvalue()) == files


def test_the_sixteen_bits_of_macos_for_more_entries_are_read(tmp_path):
    file, folder = zipped({"a.txt": b"hi"}), zipped({"d/": b""})
    start, stop = folder.index(b"PK\1\2"), folder.index(b"PK\5\6")
    entry = bytearray(folder[start:stop])
    struct.pack_into("<I", entry, 42, 0)  # a folder's own header is not looked at
    directory = file[file.index(b"PK\1\2") : file.index(b"PK\5\6")] + bytes(entry) * 65_537
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 2, 2, len(directory), file.index(b"PK\1\2"), 0)
    content = file[: file.index(b"PK\1\2")] + directory + end
    assert extracted(tmp_path, "a.zip", content) == {"a.txt": b"hi"}


def windows_zip(files: dict[str, bytes]) -> bytes:
    """As PowerShell 5 writes it: the names have backslashes, and so have those of empty folders at their end."""
    slashes = {name.replace("\\", "/"): content for name, content in files.items()}
    content = zipped(slashes)
    for name, with_slashes in zip(files, slashes, strict=True):
        assert content.count(with_slashes.encode()) == 2
        content = content.replace(with_slashes.encode(), name.encode())
    return content


def test_backslashes_of_windows_are_slashes(tmp_path):
    files = {
        "set\\training\\anno.pickle": b"labels",
        "set\\color\\0.png": b"0",
        "set/mask\\0.png": b"1",
        "empty\\": b"",
    }
    found = extracted(tmp_path, "a.zip", windows_zip(files))
    assert found == {"set/training/anno.pickle": b"labels", "set/color/0.png": b"0", "set/mask/0.png": b"1"}
    assert (tmp_path / "target/empty").is_dir()


@pytest.mark.parametrize(
    "name", ["..\\evil", "set\\..\\..\\evil", "C:\\evil", "\\evil", "\\\\server\\evil", "set\\\\evil"]
)
def test_backslashes_that_lead_out_are_refused(tmp_path, name):
    message = refusal(tmp_path, "a.zip", windows_zip({"set\\a.txt": b"hi", name: b"evil"}))
    assert "expected a path below the archive's folder, found one that leads out of it" in message


def test_the_same_path_with_slashes_and_backslashes_is_there_twice(tmp_path):
    assert "expected every path once" in refusal(
        tmp_path, "a.zip", windows_zip({"set\\a.txt": b"1", "set/A.txt": b"2"})
    )


def test_the_last_piece_of_a_split_zip_is_named(tmp_path):
    content = bytearray(ZIP)
    struct.pack_into("<H", content, RECORD + 4, 3)
    assert "found the last piece of a split one; join them first" in refusal(tmp_path, "a.zip", bytes(content))


# both


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_what_systems_add_is_left_out(tmp_path, suffix):
    files = {"set/a.txt": b"hi", "set/._a.txt": b"1", "__MACOSX/set/._a.txt": b"2", ".DS_Store": b"3"}
    files |= {".ds_store": b"4", "set/Thumbs.db": b"5", "$RECYCLE.BIN/x/a.txt": b"6"}
    tar = b"".join(header(name, content=content) for name, content in files.items()) + END
    found = extracted(tmp_path, "a" + suffix, zipped(files) if suffix == ".zip" else tar)
    assert found == {"set/a.txt": b"hi"} and [path.name for path in (tmp_path / "target").iterdir()] == ["set"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG])
def test_a_name_that_the_file_system_refuses_is_the_archives_fault(tmp_path, monkeypatch, number):
    def refuse(_archive, _member, path):
        raise OSError(number, "no such name here", str(path))

    monkeypatch.setattr(archives, "_write", refuse)
    assert "expected names that this file system can hold, found" in refusal(tmp_path, "a.zip", ZIP)


def test_damage_is_told_with_the_size_and_what_to_do(tmp_path):
    (tmp_path / "a.zip").write_bytes(ZIP[:-1])
    message = f"expected a whole archive, found damage (BadZipFile: no end record) in its {len(ZIP) - 1} bytes"
    assert refusal(tmp_path, "a.zip", ZIP[:-1]) == f"{tmp_path / 'a.zip'}: {message}; download it again"
