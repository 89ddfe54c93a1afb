"""The Python decoder on files: one line of JSON per record. Arguments: its folder, directory of dictionaries, files."""

import json
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import weir_decode

given = weir_decode.load_dictionaries(sys.argv[2])
for name in sys.argv[3:]:
    try:
        for record in weir_decode.decode(pathlib.Path(name).read_bytes(), given):
            print(json.dumps(record))
    except ValueError as error:
        print(json.dumps({"error": type(error).__name__}))
