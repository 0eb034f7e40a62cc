"""The formats of finished images.

A format makes one file from what the run has: the tree, and for disks the raw disk, which is made once for all of them.

To add one:
1. Write `make(run, options, path)` in a module of this package: it writes the new file `path` from `run` (see run.py)
   and its own `options` (the item of the assembler's `outputs`). It raises ImageError for what a person can mend, and
   gives the same bytes every time.
2. Put it into FORMATS in registry.py, saying what it is made from: a disk, or the tree. If it contains what another
   format contains, too, say so in `shares` and make that with Run.once().
3. Describe its options in assemblers/org.osbuild-compose.image.meta.json under `outputs`, and put its programs into
   tools.PACKAGES.
4. In the frontend: its name and its options in blueprint/formats.py, and both in
   schemas/blueprint.whole.schema.json (then `make docs`).
5. Test it in tests/integration/test_image_formats.py: content read back with another tool, the same bytes twice; and
   say in test_format_checks.py how its users check it.
"""
