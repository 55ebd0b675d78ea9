"""Export files as GDELT writes them, made up: 61 fields, parted by tabs, no header, in a zip."""

import io
import zipfile


def row(url: str, *, added: str = "20180301141500", actors: tuple[str, str] = ("ACME", ""), root: str = "04") -> str:
    """Return one event's line."""
    fields = [""] * 61
    fields[0], fields[1], fields[28] = "731000001", "20180228", root
    fields[6], fields[16] = actors
    fields[59], fields[60] = added, url
    return "\t".join(fields)


def zipped(text: str | bytes, *names: str) -> bytes:
    """Return a zip whose members hold that text each."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("20180301141500.export.CSV",):
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return made.getvalue()
