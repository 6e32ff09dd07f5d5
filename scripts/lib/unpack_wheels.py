"""Unpacks the members of the libtorch wheels that the engine needs: unpack_wheels.py WHEEL_DIR TARGET_DIR.

A white-list, so that a new file in a wheel never slips in. zipfile checks the CRC-32 of every member it reads.
Prints the number of files and bytes written as "FILES BYTES". Needs Python 3.8 or later.
"""

import fnmatch
import os
import shutil
import sys
import zipfile

# fnmatch's "*" also matches "/", so "torch/include/c10/*" takes the whole tree.
WANTED = {
    "torch-": [
        "torch/lib/libc10.so",
        "torch/lib/libtorch_cpu.so",
        "torch/lib/libgomp*.so*",
        "torch/include/ATen/*",
        "torch/include/c10/*",
        "torch/include/torch/*",
        "torch/version.py",
        "torch-*.dist-info/licenses/*",
    ],
    "nvidia_cuda_runtime_cu12-": ["nvidia/cuda_runtime/lib/libcudart.so.*", "*.dist-info/License.txt"],
    "nvidia_cuda_cupti_cu12-": ["nvidia/cuda_cupti/lib/libcupti.so.*", "*.dist-info/License.txt"],
}


def unpack(wheel_path, patterns, target_dir):
    """Returns (files, bytes) written; raises LookupError when a pattern matches no member."""
    with zipfile.ZipFile(wheel_path) as wheel:
        names = [name for name in wheel.namelist() if not name.endswith("/")]
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                raise LookupError("expected a member like %s in %s" % (pattern, os.path.basename(wheel_path)))
        chosen = [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
        total_bytes = 0
        for name in chosen:
            path = os.path.normpath(os.path.join(target_dir, name))
            if not path.startswith(os.path.normpath(target_dir) + os.sep):
                raise LookupError("member %s would leave the target folder" % name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with wheel.open(name) as source, open(path, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            total_bytes += wheel.getinfo(name).file_size
        return len(chosen), total_bytes


def main():
    wheel_dir, target_dir = sys.argv[1:3]
    wheels = [name for name in os.listdir(wheel_dir) if name.endswith(".whl")]
    files = total_bytes = 0
    for prefix, patterns in WANTED.items():
        matching = [name for name in wheels if name.startswith(prefix)]
        if len(matching) != 1:
            raise LookupError("expected one wheel %s*.whl but found %d" % (prefix, len(matching)))
        added_files, added_bytes = unpack(os.path.join(wheel_dir, matching[0]), patterns, target_dir)
        files += added_files
        total_bytes += added_bytes
    print(files, total_bytes)


if __name__ == "__main__":
    try:
        main()
    except (LookupError, OSError, zipfile.BadZipFile) as error:
        sys.exit("unpacking the wheels failed: %s" % error)
