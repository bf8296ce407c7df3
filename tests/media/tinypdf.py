"""PDFs written by hand (ISO 32000-1), for tests of what reads them: honest ones, broken ones, and bombs."""

import base64
import io
import zlib

from pypdf import PdfReader, PdfWriter


def b64(data):
    return base64.b64encode(data).decode()


def written(objects):
    """A file of these objects; the first is the catalog."""
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(out))
    return b"%bxref\n0 %d\n0000000000 65535 f \n%b%b" % (out, size, table, end)


def stream(data, extra=b""):
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(data), extra, data)


def packed(data):
    return stream(zlib.compress(data), b"/Filter /FlateDecode")


LATIN = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
CHINESE = (
    b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [ << /Type /Font"
    b" /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1)"
    b" /Supplement 4 >> >> ] >>"
)
"""A font that is not embedded, as office programs of China name it: its codes are UCS-2."""


def document(contents, font=LATIN, more=()):
    """One page for each content stream. Objects: 1 catalog, 2 pages, 3 font, then page and content in turns, then `more`."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * i) for i in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, len(contents)),
        font,
    ]
    for i, content in enumerate(contents):
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % (5 + 2 * i),
            content,
        ]
    return written([*objects, *more])


def shown(text, font=LATIN):
    """A content stream that shows these lines."""
    lines = [
        b"<%b> Tj 0 -14 Td"
        % (line.encode("utf-16-be") if font == CHINESE else line.encode("latin-1")).hex().encode()
        for line in text.splitlines()
    ]
    return b"BT /F1 12 Tf 50 780 Td %b ET" % b" ".join(lines)


def pdf(*pages, font=LATIN):
    """A PDF of these pages."""
    return document([packed(shown(page, font)) for page in pages], font)


def mapped(text):
    """A page as browsers print it: glyphs by number, and a map from them to what they mean."""
    glyphs = {char: i for i, char in enumerate(dict.fromkeys(text), 1)}
    rows = b"\n".join(b"<%04x> <%b>" % (i, c.encode("utf-16-be").hex().encode()) for c, i in glyphs.items())
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /M def 1 begincodespacerange"
        b" <0000> <FFFF> endcodespacerange %d beginbfchar\n%b\nendbfchar endcmap end end"
        % (len(glyphs), rows)
    )
    font = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /ABCDEF+Any /Encoding /Identity-H /ToUnicode 6 0 R /DescendantFonts"
        b" [ << /Type /Font /Subtype /CIDFontType2 /BaseFont /ABCDEF+Any /CIDSystemInfo << /Registry (Adobe)"
        b" /Ordering (Identity) /Supplement 0 >> >> ] >>"
    )
    line = b"".join(b"%04x" % glyphs[char] for char in text)
    return document([packed(b"BT /F1 12 Tf 50 780 Td <%b> Tj ET" % line)], font, [packed(cmap)])


def scan(pages=2):
    """Pages that are only pictures."""
    picture = stream(
        b"\x80",
        b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8",
    )
    return document([packed(b"q 600 0 0 800 0 0 cm /I Do Q")] * pages, more=[picture])


def encrypted(data, password, algorithm="AES-256"):
    """The same, locked; with an empty password every reader opens it."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(user_password=password, owner_password="the owner's", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def endless(megabytes=70):
    """A page that keeps its reader busy for minutes: a hundred kilobytes that unpack into millions of words."""
    return document([packed(b"BT /F1 12 Tf " + b"(a) Tj " * (megabytes * 150_000) + b"ET")])


def bomb(megabytes=200):
    """A page that unpacks into a thousand times its size."""
    squeeze = zlib.compressobj()
    squeezed = b"".join(squeeze.compress(bytes(10_000_000)) for _ in range(megabytes // 10)) + squeeze.flush()
    return document([stream(squeezed, b"/Filter /FlateDecode")])


def ring():
    """Pages that are their own parents."""
    return written(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 100000000 >>",
        ]
    )
