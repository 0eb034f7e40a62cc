"""What is in an image, read without mounting it: `compose inspect`.

`opening.py` gets the disk or the files out of an image, `disk.py` finds the file systems on a disk and the system in
them, `trees/` reads each kind of file system and archive as a Tree, `analysis/` reports what the files say,
`report.py` is the result, and `output.py` prints it. Images may be hostile: the programs that read them run in a
sandbox (`tools.py`) that sees nothing else, their time, memory and output are bounded, and nothing in an image decides
about a path on this machine.
"""
