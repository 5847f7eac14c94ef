"""A gzipped file is unpacked under a size limit. Runs only in an isolated child.

python -m surrogate.geometry.unpacking FILE OUT MOST_BYTES NAME
"""

import gzip
import sys
import zlib
from pathlib import Path

from surrogate.errors import TooLargeError, UnsupportedFormatError

_CHUNK = 1 << 20


def main(arguments: list[str]) -> None:
    """Unpack one layer."""
    file, out, most_text, name = arguments
    left = most = int(most_text)
    try:
        with gzip.open(file) as source, Path(out).open("wb") as target:
            while data := source.read(_CHUNK):
                left -= len(data)
                if left < 0:
                    raise TooLargeError(
                        f"{name} unpacks to more than {most >> 20} MiB, the limit; use larger elements, or leave out "
                        "what is not the part"
                    )
                target.write(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UnsupportedFormatError(f"{name} is not a whole gzip file ({error}); pack it again") from error


if __name__ == "__main__":
    main(sys.argv[1:])
