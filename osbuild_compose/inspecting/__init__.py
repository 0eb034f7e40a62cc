"""What is in an image, read without mounting it: `compose inspect`.

`detect.py` says what a file is, `containers/` gets the disk, the file systems or the archive out of it, `trees/` reads
each of them as one kind of thing, a Tree, `analysis/` are pure functions of trees and bytes, `report.py` is what comes
out, and `text.py` and `data.py` are two ways to show it. Images are hostile: programs that read them run in a sandbox
(`tools.py`) that sees nothing else, what they may take is bounded, and nothing of an image decides about a path here.
"""
